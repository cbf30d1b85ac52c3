"""What exists in the emulated Personalize besides jobs.

Solutions, filters and dataset groups are ACTIVE as soon as they are created, which
takes the service up to minutes.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import filters
from cdk_personalize_segments.local.personalize.affinity import Affinity
from cdk_personalize_segments.local.personalize.dataset import Dataset

ACTIVE: Final = "ACTIVE"
PENDING: Final = "CREATE PENDING"
IN_PROGRESS: Final = "CREATE IN_PROGRESS"
FAILED: Final = "CREATE FAILED"
STOPPING: Final = "CREATE STOPPING"
STOPPED: Final = "CREATE STOPPED"
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
    """A dataset group and the data imported into it, if any.

    Attributes:
        name: Its name.
        arn: Its ARN.
        created: When it was created.
        domain: Its domain, if it is of one; custom solutions can live there too.
        affinity: What models learn from the data.
    """

    name: str
    arn: str
    created: datetime
    domain: str | None = None
    affinity: Affinity | None = None

    @property
    def dataset(self) -> Dataset | None:
        """The data as they are now."""
        return self.affinity.dataset if self.affinity else None

    def describe(self) -> dict[str, Any]:
        """Return the shape DatasetGroup, which is that of its summary."""
        description = {
            "name": self.name,
            "datasetGroupArn": self.arn,
            "status": ACTIVE,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": self.created,
        }
        if self.domain is not None:
            description["domain"] = self.domain
        return description


@dataclass
class SolutionVersion:
    """A trained model: the data as they were at its training.

    Attributes:
        arn: Its ARN.
        name: Its name.
        solution: What it is a version of.
        status: Its status.
        created: When it was created.
        updated: When its status last changed.
        failure_reason: Why it failed, if it did.
        training_type: MANUAL or AUTOMATIC.
        training_time: How long it trained, once it has.
        affinity: What it learned.
    """

    arn: str
    name: str
    solution: "Solution"
    status: str
    created: datetime
    updated: datetime
    failure_reason: str | None = None
    training_type: str = "MANUAL"
    training_time: timedelta = timedelta(hours=1)
    affinity: Affinity | None = None

    @property
    def dataset(self) -> Dataset | None:
        """The data as they were at its training."""
        return self.affinity.dataset if self.affinity else None

    @property
    def trains(self) -> bool:
        """Whether it is pending or in progress."""
        return self.status in {PENDING, IN_PROGRESS}

    def change(self, status: str, when: datetime, reason: str | None = None) -> None:
        """Give it another status."""
        self.status = status
        self.updated = when
        self.failure_reason = reason

    def summarize(self) -> dict[str, Any]:
        """Return the shape SolutionVersionSummary."""
        summary = {
            "solutionVersionArn": self.arn,
            "status": self.status,
            "trainingMode": "FULL",
            "trainingType": self.training_type,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": self.updated,
        }
        if self.failure_reason is not None:
            summary["failureReason"] = self.failure_reason
        return summary

    def describe(self) -> dict[str, Any]:
        """Return the shape SolutionVersion."""
        description = {
            **self.summarize(),
            "name": self.name,
            "solutionArn": self.solution.arn,
            "performHPO": False,
            "performAutoML": False,
            "performIncrementalUpdate": False,
            "recipeArn": self.solution.recipe_arn,
            "datasetGroupArn": self.solution.group.arn,
        }
        if self.solution.config:
            description["solutionConfig"] = self.solution.config
        if self.status == ACTIVE:
            # "This field is visible only after [...] successfully trains a model."
            description["trainingHours"] = self.training_time / timedelta(hours=1)
        return description


@dataclass
class Solution:
    """A recipe applied to a dataset group, with the versions trained so far.

    Attributes:
        name: Its name.
        arn: Its ARN.
        recipe: The name of its recipe.
        recipe_arn: The recipe's ARN.
        group: The dataset group that it learns from.
        created: When it was created.
        versions: Its versions, oldest first.
        auto_training: Whether versions are trained by themselves.
        config: Its `solutionConfig`, if it was given one.
        update: The summary of its latest update, if there was one.
        plans: How often automatic training was planned; only the last plan holds.
    """

    name: str
    arn: str
    recipe: str
    recipe_arn: str
    group: DatasetGroup
    created: datetime
    versions: list[SolutionVersion] = field(default_factory=list)
    auto_training: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    update: dict[str, Any] | None = None
    plans: int = 0

    def summarize(self) -> dict[str, Any]:
        """Return the shape SolutionSummary."""
        updated = self.update["lastUpdatedDateTime"] if self.update else self.created
        return {
            "name": self.name,
            "solutionArn": self.arn,
            "status": ACTIVE,
            "recipeArn": self.recipe_arn,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": updated,
        }

    def describe(self) -> dict[str, Any]:
        """Return the shape Solution."""
        description = {
            **self.summarize(),
            "performHPO": False,
            "performAutoML": False,
            "performAutoTraining": self.auto_training,
            "performIncrementalUpdate": False,
            "datasetGroupArn": self.group.arn,
        }
        if self.config:
            description["solutionConfig"] = self.config
        if self.versions:
            description["latestSolutionVersion"] = self.versions[-1].summarize()
        if self.update:
            description["latestSolutionUpdate"] = self.update
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
    failure_reason: str | None = None

    def summarize(self) -> dict[str, Any]:
        """Return the shape FilterSummary."""
        summary = {
            "name": self.name,
            "filterArn": self.arn,
            "datasetGroupArn": self.group.arn,
            "status": self.status,
            "creationDateTime": self.created,
            "lastUpdatedDateTime": self.created,
        }
        if self.failure_reason is not None:
            summary["failureReason"] = self.failure_reason
        return summary

    def describe(self) -> dict[str, Any]:
        """Return the shape Filter."""
        return {**self.summarize(), "filterExpression": self.expression}
