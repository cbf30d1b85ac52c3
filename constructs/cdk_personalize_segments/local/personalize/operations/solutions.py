"""Operations on solutions.

How many solutions a dataset group may have is not enforced, since the developer guide
and the General Reference have different numbers.
"""

from typing import TYPE_CHECKING, Any

from cdk_personalize_segments.local.personalize import errors, training
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
    check_new,
    check_tags,
    find,
    page,
    tag_map,
)
from cdk_personalize_segments.local.personalize.operations.recipes import find_name
from cdk_personalize_segments.local.personalize.resources import ACTIVE

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize


def create(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Create a solution, which is ACTIVE at once; automatic training is on."""
    name = parameters["name"]
    arn = personalize.arn(f"solution/{name}")
    check_tags(parameters.get("tags", []))
    if "recipeArn" not in parameters:
        raise errors.invalid_input("recipeArn is required when performAutoML is false")
    config = parameters.get("solutionConfig", {})
    _check_schedule(config)
    check_new(personalize.solutions, arn, "solution", name)
    group = find(personalize.groups, parameters["datasetGroupArn"])
    recipe = find_name(personalize, parameters["recipeArn"])
    solution = personalize.add_solution(name, recipe, group)
    solution.auto_training = parameters.get("performAutoTraining", True)
    solution.config = dict(config)
    training.plan(personalize, solution)
    personalize.tags[arn] = tag_map(parameters.get("tags", []))
    return {"solutionArn": arn}


def describe(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Describe a solution."""
    solution = find(personalize.solutions, parameters["solutionArn"])
    return {"solution": solution.describe()}


def list_(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List solutions."""
    wanted = parameters.get("datasetGroupArn")
    summaries = [
        each.summarize()
        for each in personalize.solutions.values()
        if wanted in {None, each.group.arn}
    ]
    return page("solutions", summaries, parameters)


def update(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Change a solution's automatic training, at once."""
    solution = find(personalize.solutions, parameters["solutionArn"])
    config = parameters.get("solutionUpdateConfig", {})
    _check_schedule(config)
    solution.auto_training = parameters.get(
        "performAutoTraining", solution.auto_training
    )
    solution.config = {**solution.config, **config}
    now = personalize.now()
    solution.update = {
        "status": ACTIVE,
        "performAutoTraining": solution.auto_training,
        "performIncrementalUpdate": False,
        "creationDateTime": now,
        "lastUpdatedDateTime": now,
    }
    if config:
        solution.update["solutionUpdateConfig"] = config
    training.plan(personalize, solution)
    return {"solutionArn": solution.arn}


def delete(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Delete a solution with its versions at once.

    Not while a version is trained:
    https://docs.aws.amazon.com/personalize/latest/dg/API_DeleteSolution.html
    That it is refused also while a job is pending or in progress is decided here.
    """
    solution = find(personalize.solutions, parameters["solutionArn"])
    for version in solution.versions:
        if version.trains:
            raise errors.in_use(
                f"The solution version {version.arn} is {version.status}."
            )
    versions = {version.arn for version in solution.versions}
    personalize.check_unused(solution.arn, versions)
    del personalize.solutions[solution.arn]
    for arn in versions:
        del personalize.versions[arn]
    for arn in {solution.arn, *versions}:
        personalize.tags.pop(arn, None)
    return {}


def _check_schedule(config: dict[str, Any]) -> None:
    auto = config.get("autoTrainingConfig", {})
    training.check_schedule(auto.get("schedulingExpression"))
