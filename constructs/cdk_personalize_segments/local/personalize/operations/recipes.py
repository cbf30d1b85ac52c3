"""Operations on recipes: of custom solutions, those with a known type."""

from typing import TYPE_CHECKING

from cdk_personalize_segments.local.personalize import errors
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
    page,
)
from cdk_personalize_segments.local.personalize.resources import ACTIVE, RECIPES

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize


def find_name(personalize: "EmulatedPersonalize", arn: str) -> str:
    """Return the name of a recipe.

    Raises:
        PersonalizeError: ResourceNotFoundException.
    """
    for name in RECIPES:
        if personalize.recipe_arn(name) == arn:
            return name
    raise errors.not_found(arn)


def describe(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Describe a recipe."""
    name = find_name(personalize, parameters["recipeArn"])
    return {"recipe": {**_summary(personalize, name), "recipeType": RECIPES[name]}}


def list_(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List recipes; all are the service's own."""
    summaries = [_summary(personalize, name) for name in RECIPES]
    return page("recipes", summaries, parameters)


def _summary(personalize: "EmulatedPersonalize", name: str) -> Answer:
    return {
        "name": name,
        "recipeArn": personalize.recipe_arn(name),
        "status": ACTIVE,
    }
