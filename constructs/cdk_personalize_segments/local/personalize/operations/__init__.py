"""The emulated operations of the Personalize API; all others are refused by name."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from cdk_personalize_segments.local.personalize.operations import (
    dataset_groups,
    filters,
    recipes,
    segment_jobs,
    solutions,
    tags,
    versions,
)
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize

OPERATIONS: Final[
    Mapping[str, Callable[["EmulatedPersonalize", Parameters], Answer]]
] = {
    "CreateBatchSegmentJob": segment_jobs.create,
    "CreateDatasetGroup": dataset_groups.create,
    "CreateFilter": filters.create,
    "CreateSolution": solutions.create,
    "CreateSolutionVersion": versions.create,
    "DeleteDatasetGroup": dataset_groups.delete,
    "DeleteFilter": filters.delete,
    "DeleteSolution": solutions.delete,
    "DescribeBatchSegmentJob": segment_jobs.describe,
    "DescribeDatasetGroup": dataset_groups.describe,
    "DescribeFilter": filters.describe,
    "DescribeRecipe": recipes.describe,
    "DescribeSolution": solutions.describe,
    "DescribeSolutionVersion": versions.describe,
    "ListBatchSegmentJobs": segment_jobs.list_,
    "ListDatasetGroups": dataset_groups.list_,
    "ListFilters": filters.list_,
    "ListRecipes": recipes.list_,
    "ListSolutionVersions": versions.list_,
    "ListSolutions": solutions.list_,
    "ListTagsForResource": tags.list_,
    "StopSolutionVersionCreation": versions.stop,
    "TagResource": tags.tag,
    "UntagResource": tags.untag,
    "UpdateSolution": solutions.update,
}
