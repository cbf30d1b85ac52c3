"""What exists in the emulated Personalize besides jobs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import filters
from cdk_personalize_segments.local.personalize.affinity import Affinity
from cdk_personalize_segments.local.personalize.dataset import Dataset

ACTIVE: Final = "ACTIVE"
USER_SEGMENTATION: Final = "USER_SEGMENTATION"
# The recipes that can be described; segments are computed for the first two.
RECIPES: Final = {
    limits.ITEM_AFFINITY: USER_SEGMENTATION,
    limits.ITEM_ATTRIBUTE_AFFINITY: USER_SEGMENTATION,
    "aws-user-personalization": "USER_PERSONALIZATION",
    "aws-personalized-ranking": "PERSONALIZED_RANKING",
    "aws-similar-items": "RELATED_ITEMS",
}


@dataclass
class DatasetGroup:
    """A dataset group and the data imported into it, if any."""

    name: str
    arn: str
    created: datetime
    dataset: Dataset | None = None

    def describe(self) -> dict[str, Any]:
        """Return the shape DatasetGroup."""
        return {
            "name": self.name,
            "datasetGroupArn": self.arn,
            "status": ACTIVE,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": self.created,
        }


@dataclass
class SolutionVersion:
    """A trained model: the data as they were at its training."""

    arn: str
    solution: "Solution"
    status: str
    failure_reason: str | None
    created: datetime
    affinity: Affinity | None
    dataset: Dataset | None

    def summarize(self) -> dict[str, Any]:
        """Return the shape SolutionVersionSummary."""
        summary = {
            "solutionVersionArn": self.arn,
            "status": self.status,
            "trainingMode": "FULL",
            "trainingType": "MANUAL",
            "creationDateTime": self.created,
            "lastUpdatedDateTime": self.created,
        }
        if self.failure_reason is not None:
            summary["failureReason"] = self.failure_reason
        return summary

    def describe(self) -> dict[str, Any]:
        """Return the shape SolutionVersion."""
        return {
            **self.summarize(),
            "name": self.arn.rpartition("/")[2],
            "solutionArn": self.solution.arn,
            "performHPO": False,
            "performAutoML": False,
            "recipeArn": self.solution.recipe_arn,
            "datasetGroupArn": self.solution.group.arn,
            "trainingHours": 1.0,
        }


@dataclass
class Solution:
    """A recipe applied to a dataset group, with the versions trained so far."""

    name: str
    arn: str
    recipe: str
    recipe_arn: str
    group: DatasetGroup
    created: datetime
    versions: list[SolutionVersion] = field(default_factory=list)

    def summarize(self) -> dict[str, Any]:
        """Return the shape SolutionSummary."""
        return {
            "name": self.name,
            "solutionArn": self.arn,
            "status": ACTIVE,
            "recipeArn": self.recipe_arn,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": self.created,
        }

    def describe(self) -> dict[str, Any]:
        """Return the shape Solution."""
        description = {
            **self.summarize(),
            "performHPO": False,
            "performAutoML": False,
            "performAutoTraining": False,
            "datasetGroupArn": self.group.arn,
        }
        if self.versions:
            description["latestSolutionVersion"] = self.versions[-1].summarize()
        return description


@dataclass
class Filter:
    """A filter of a dataset group."""

    name: str
    arn: str
    group: DatasetGroup
    expression: str
    parsed: filters.Filter
    status: str
    created: datetime

    def summarize(self) -> dict[str, Any]:
        """Return the shape FilterSummary."""
        return {
            "name": self.name,
            "filterArn": self.arn,
            "datasetGroupArn": self.group.arn,
            "status": self.status,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": self.created,
        }

    def describe(self) -> dict[str, Any]:
        """Return the shape Filter."""
        return {**self.summarize(), "filterExpression": self.expression}
