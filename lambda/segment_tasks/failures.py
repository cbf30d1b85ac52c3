"""How a run fails: the table of failures, and how they are told."""

# The names are what executions end with, so they are not to end in Error.
# ruff: noqa: N818

from typing import Any, Final

# Step Functions takes 32,768 characters; the rest is for an ellipsis.
MAX_CAUSE_LENGTH: Final = 32_000


class RunFailure(Exception):
    """A failure that is foreseen, named as in the table; its text is a sentence."""


class InvalidInput(RunFailure):
    """The execution input or the queries cannot be used."""


class SolutionVersionNotUsable(RunFailure):
    """The solution version does not exist, is not ready or does not fit."""


class FilterNotUsable(RunFailure):
    """The filter does not exist, is not ready or does not fit."""


class AccessDenied(RunFailure):
    """A grant is missing."""


class QueueTimeout(RunFailure):
    """No job slot came free in time."""


class JobFailed(RunFailure):
    """Personalize refused the job or could not finish it."""


class JobTimeout(RunFailure):
    """The job takes longer than it may."""


class OutputIncomplete(RunFailure):
    """The job is done, but its output does not answer every query."""


class TooManyFailedQueries(RunFailure):
    """More queries failed than may."""


NAMES: Final = frozenset(each.__name__ for each in RunFailure.__subclasses__())


def describe(failure: RunFailure) -> dict[str, str]:
    """Return a failure as the state machine passes it on."""
    return {"error": type(failure).__name__, "cause": shorten(str(failure))}


def describe_caught(state: str, caught: dict[str, Any]) -> dict[str, str]:
    """Return an error that a state did not foresee as a failure.

    Step Functions' `Cause` is JSON where a function raised, and plain text or empty
    where it was killed.
    """
    error = str(caught.get("Error") or "")
    message = _message_of(caught.get("Cause"))
    if error in NAMES:
        return {"error": error, "cause": shorten(message or error)}
    what = ": ".join(each for each in (error, message) if each) or "no reason given"
    return {
        "error": "UnexpectedError",
        "cause": shorten(f"The step {state!r} ended with an unforeseen error: {what}"),
    }


def _message_of(cause: object) -> str:
    import json

    if not isinstance(cause, str):
        return ""
    try:
        parsed = json.loads(cause)
    except ValueError:
        return cause.strip()
    if isinstance(parsed, dict) and isinstance(parsed.get("errorMessage"), str):
        return str(parsed["errorMessage"])
    return cause.strip()


def shorten(cause: str, most: int = MAX_CAUSE_LENGTH) -> str:
    """Cut a cause to what Step Functions takes, in characters."""
    return cause if len(cause) <= most else cause[: most - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
