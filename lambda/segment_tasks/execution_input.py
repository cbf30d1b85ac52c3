"""The input of an execution: what it may say, and what holds where it says nothing."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from . import arns, limits, uploads
from .failures import InvalidInput
from .uploads import Upload

RESUME: Final = "resume"
QUERIES: Final = "queries"
FILES: Final = "files"
ON_OVERLAP: Final = "onOverlap"
RUN: Final = "run"
SKIP: Final = "skip"
KEYS: Final = (
    QUERIES,
    "numResults",
    "filterArn",
    "solutionVersionArn",
    "tags",
    RESUME,
    FILES,
    ON_OVERLAP,
)


class Request(NamedTuple):
    """What an execution asks for, with the pipeline's defaults filled in.

    None stands for all query files, no filter, the default version, no run to resume.
    Files are uploaded ones; None where the execution says nothing of them.
    """

    queries: str | None
    files: list[Upload] | None
    num_results: int
    filter_arn: str | None
    solution_version_arn: str | None
    tags: dict[str, str]
    resume: str | None
    skips_on_overlap: bool


def read(given: object, defaults: Mapping[str, Any], run_prefix: str) -> Request:
    """Check an execution's input, any JSON; keys that are null count as left out.

    Raises:
        InvalidInput: A key is not known, or a value is not allowed.
    """
    if not isinstance(given, dict):
        raise InvalidInput(
            "The execution input must be a JSON object, such as {} or "
            f'{{"queries": "some-file.json"}}, got {_kind(given)}.'
        )
    unknown = sorted(given.keys() - set(KEYS))
    if unknown:
        raise InvalidInput(
            f"The execution input has the unknown key {', '.join(map(repr, unknown))}; "
            f"allowed are {', '.join(KEYS)}."
        )
    values = {key: value for key, value in given.items() if value is not None}
    resume = _resume(values, run_prefix)
    return Request(
        queries=_queries(values.get(QUERIES)),
        files=_files(values),
        num_results=_num_results(values, defaults),
        filter_arn=_filter(values, defaults),
        solution_version_arn=_solution_version(values, defaults),
        tags=_tags(values.get("tags", {}), defaults["tags"]),
        resume=resume,
        skips_on_overlap=_on_overlap(values.get(ON_OVERLAP, RUN)) == SKIP,
    )


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _resume(values: Mapping[str, Any], run_prefix: str) -> str | None:
    if RESUME not in values:
        return None
    others = ", ".join(key for key in values if key != RESUME)
    if others:
        raise InvalidInput(
            f"The execution input has resume together with {others}; a resumed run "
            "uses the input and settings of the run that it resumes, so give resume "
            "alone."
        )
    resume = values[RESUME]
    name = rf"{re.escape(run_prefix)}-[0-9a-f]+"
    if not isinstance(resume, str) or not re.fullmatch(name, resume):
        raise InvalidInput(
            "In the execution input, resume must be the name of a run of this "
            f"pipeline, such as {run_prefix}-0123456789abcdef, got {resume!r}."
        )
    return resume


def _on_overlap(value: object) -> str:
    if value in (RUN, SKIP):
        return str(value)
    raise InvalidInput(
        f'In the execution input, {ON_OVERLAP} must be "{RUN}", to run although an '
        f'older run of the pipeline is still going, or "{SKIP}", to do nothing then, '
        f"got {value!r}."
    )


def _queries(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.strip("/")):
        return value
    raise InvalidInput(
        "In the execution input, queries must be the key of a query file or the name "
        f"of a folder of them, got {value!r}; leave it out to use all query files."
    )


def _files(values: Mapping[str, Any]) -> list[Upload] | None:
    if FILES not in values:
        return None
    given = values[FILES]
    if QUERIES in values:
        raise InvalidInput(
            f"The execution input has {FILES} together with {QUERIES}; {FILES} names "
            f"uploaded versions, {QUERIES} whatever is there: give one of them."
        )
    if not isinstance(given, list) or not given:
        raise InvalidInput(
            f"In the execution input, {FILES} must be a list of uploaded files, as "
            f"start_on_upload makes it, got {given!r}; to read a file or folder as it "
            f"is, give {QUERIES} instead."
        )
    if len(given) > limits.MAX_QUERY_FILES:
        raise InvalidInput(
            f"In the execution input, {FILES} must name at most "
            f"{limits.MAX_QUERY_FILES:,} files, got {len(given):,}."
        )
    for number, each in enumerate(given, start=1):
        _refuse(
            f"In the execution input, file {number} of {FILES}", uploads.problem(each)
        )
    # The same one twice is one.
    return list(dict.fromkeys(map(uploads.of_input, given)))


# The pipeline's own values may be known at deployment only, hence unchecked until now.
def _num_results(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> int:
    where, value = "The pipeline's num_results", defaults["numResults"]
    if "numResults" in values:
        where, value = "In the execution input, numResults", values["numResults"]
    _refuse(where, limits.num_results_problem(value))
    return int(value)


def _filter(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str | None:
    if "filterArn" in values:
        return _arn("In the execution input, filterArn", values["filterArn"])
    # A parameter of the stack that is left empty means none.
    default = defaults["filterArn"]
    return _arn("The pipeline's filter_arn", default) if default else None


def _solution_version(
    values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> str | None:
    kind, own = arns.SOLUTION_VERSION, defaults["solutionVersionArn"]
    if own is None:
        kind, own = arns.SOLUTION, defaults["solutionArn"]
    _arn("The pipeline's solution_version", own, kind)
    if "solutionVersionArn" not in values:
        return None
    where = "In the execution input, solutionVersionArn"
    return _arn(where, values["solutionVersionArn"], arns.SOLUTION_VERSION)


def _arn(where: str, value: object, kind: str = arns.FILTER) -> str:
    _refuse(where, arns.problem(value, kind))
    return str(value)


def _refuse(where: str, problem: str | None) -> None:
    if problem:
        raise InvalidInput(f"{where} {problem}.")


def _tags(value: object, defaults: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidInput(
            "In the execution input, tags must be an object of keys and values, got "
            f"{_kind(value)}."
        )
    for where, given in (
        ("The pipeline's job_tags are wrong:", defaults),
        ("In the execution input, tags are wrong:", value),
    ):
        for key, text in given.items():
            _refuse(where, limits.tag_problem(key, text))
    tags = {**defaults, **value}
    if len(tags) > limits.MAX_TAGS:
        raise InvalidInput(
            f"The execution input's {len(value)} tags and the pipeline's "
            f"{len(defaults)} are {len(tags)} together; Personalize takes at most "
            f"{limits.MAX_TAGS}."
        )
    return tags
