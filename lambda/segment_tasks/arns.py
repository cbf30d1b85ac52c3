"""Amazon Personalize ARNs: which kind one is, and what it is part of."""

import re
from typing import Final, NamedTuple

from . import limits

SOLUTION: Final = "a solution"
SOLUTION_VERSION: Final = "a solution version"
FILTER: Final = "a filter"

FORMS: Final = {
    SOLUTION: "arn:aws:personalize:REGION:ACCOUNT:solution/NAME",
    SOLUTION_VERSION: "arn:aws:personalize:REGION:ACCOUNT:solution/NAME/VERSION",
    FILTER: "arn:aws:personalize:REGION:ACCOUNT:filter/NAME",
}

_RESOURCES: Final = {
    "batch-inference-job": "a batch inference job",
    "batch-segment-job": "a batch segment job",
    "campaign": "a campaign",
    "dataset": "a dataset",
    "dataset-group": "a dataset group",
    "event-tracker": "an event tracker",
    "filter": FILTER,
    "recipe": "a recipe",
    "recommender": "a recommender",
    "schema": "a schema",
    "solution": SOLUTION,
}
_ARN: Final = re.compile(
    r"arn:(?P<partition>[a-z\d-]+):(?P<service>[^:]*):(?P<region>[^:]*)"
    r":(?P<account>[^:]*):(?P<resource>.+)",
    re.DOTALL,
)


class Arn(NamedTuple):
    """The fields of an ARN."""

    partition: str
    service: str
    region: str
    account: str
    resource: str


def parse(arn: str) -> Arn | None:
    """Split an ARN into its fields, or return None if the text is not one."""
    match = _ARN.fullmatch(arn)
    return Arn(*match.groups()) if match else None


def kind(arn: str) -> str:
    """Name what an ARN stands for, as a noun with its article."""
    parsed = parse(arn)
    if parsed is None:
        return "not an ARN"
    if parsed.service != "personalize":
        resource = re.split("[/:]", parsed.resource)[0]
        return f"the ARN of a {parsed.service} {resource}"
    resource, _, name = parsed.resource.partition("/")
    if resource == "solution" and "/" in name:
        return SOLUTION_VERSION
    return _RESOURCES.get(resource, f"a Personalize {resource}")


def problem(arn: object, wanted: str) -> str | None:
    """Say why an ARN is not of the kind wanted, a key of `FORMS`; None if it is."""
    expected = f"the ARN of {wanted}, like {FORMS[wanted]}"
    if not isinstance(arn, str):
        return f"must be {expected}, got {arn!r}"
    if len(arn) > limits.MAX_ARN_LENGTH:
        return (
            f"must be {expected}, of at most {limits.MAX_ARN_LENGTH} characters, "
            f"got {len(arn)}"
        )
    given = kind(arn)
    if given != wanted:
        return f"must be {expected}, got {arn!r}, which is {given}"
    parsed = parse(arn)
    segments = 3 if wanted == SOLUTION_VERSION else 2
    if (
        parsed is None
        or not re.fullmatch(r"\d{12}", parsed.account)
        or not parsed.region
        or not _names(parsed.resource, segments)
    ):
        return f"must be {expected}, got {arn!r}"
    return None


def _names(resource: str, segments: int) -> bool:
    parts = resource.split("/")
    return len(parts) == segments and all(
        re.fullmatch(limits.NAME_PATTERN, part) for part in parts[1:]
    )


def solution_of(solution_version_arn: str) -> str:
    """Return the ARN of the solution that a version belongs to."""
    return solution_version_arn.rpartition("/")[0]


def recipe_name(recipe_arn: str) -> str:
    """Return the name at the end of a recipe's ARN."""
    return recipe_arn.rpartition("/")[2]


def job_arn(like: str, name: str) -> str:
    """Return the ARN of a job beside any other Personalize ARN.

    The form `…:batch-segment-job/<jobName>` was observed in outputs of the
    service, and is the one of the Service Authorization Reference.
    """
    return ":".join([*like.split(":")[:5], f"batch-segment-job/{name}"])
