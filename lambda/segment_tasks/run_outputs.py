"""The output of an execution that succeeds: the same fields for every run."""

from typing import Any, Final

_FIELDS: Final = (
    "run",
    "jobName",
    "jobArn",
    "solutionVersionArn",
    "queries",
    "failedQueries",
    "users",
    "skippedLines",
    "manifest",
    "output",
    "nothingToDo",
)


class NothingToDo(Exception):  # noqa: N818
    """A run has nothing to do, which is no failure; the text is a sentence."""


def of_run(run: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the output of a run; what is not given is null."""
    return {**dict.fromkeys(_FIELDS), "run": run, **fields}
