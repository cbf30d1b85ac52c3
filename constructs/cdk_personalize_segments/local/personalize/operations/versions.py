"""Operations on solution versions."""

from typing import TYPE_CHECKING, Final

from cdk_personalize_segments.local.personalize import errors, training
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
    check_tags,
    find,
    page,
    tag_map,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize

_FULL: Final = "FULL"


def create(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Start to train a version.

    Its ARN ends with an id, as all ARNs that were seen do, also if it has a name.
    """
    solution = find(personalize.solutions, parameters["solutionArn"])
    check_tags(parameters.get("tags", []))
    mode = parameters.get("trainingMode", _FULL)
    if mode != _FULL:
        raise errors.invalid_input(
            f"trainingMode {mode} is not possible with the recipe {solution.recipe}; "
            f"it must be {_FULL}"
        )
    name = parameters.get("name")
    if name is not None and name in {each.name for each in solution.versions}:
        raise errors.already_exists("solution version", name)
    version = training.start(personalize, solution, name=name)
    personalize.tags[version.arn] = tag_map(parameters.get("tags", []))
    return {"solutionVersionArn": version.arn}


def describe(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Describe a solution version."""
    version = find(personalize.versions, parameters["solutionVersionArn"])
    return {"solutionVersion": version.describe()}


def list_(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List solution versions."""
    wanted = parameters.get("solutionArn")
    if wanted is not None:
        find(personalize.solutions, wanted)
    summaries = [
        each.summarize()
        for each in personalize.versions.values()
        if wanted in {None, each.solution.arn}
    ]
    return page("solutionVersions", summaries, parameters)


def stop(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Stop the training of a version."""
    version = find(personalize.versions, parameters["solutionVersionArn"])
    training.stop(personalize, version)
    return {}
