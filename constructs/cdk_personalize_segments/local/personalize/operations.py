"""The emulated operations of the Personalize API."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import errors, filters, jobs
from cdk_personalize_segments.local.personalize.resources import (
    RECIPES,
    USER_SEGMENTATION,
    Filter,
    SolutionVersion,
)
from cdk_personalize_segments.local.personalize.storage import JobStorage

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize

Parameters = Mapping[str, Any]
Answer = dict[str, Any]
_T = TypeVar("_T")
_PAGE: Final = 100


def create_batch_segment_job(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Create a job.

    The limit of jobs is checked before the name, so that a repeated call whose first
    answer was lost can be answered with either; which the service does is not known.
    """
    name = parameters["jobName"]
    arn = personalize.arn(f"batch-segment-job/{name}")
    problem = limits.num_results_problem(
        parameters.get("numResults", limits.DEFAULT_NUM_RESULTS)
    )
    if problem:
        raise errors.invalid_input(f"numResults {problem}")
    _check_tags(parameters.get("tags", []))
    _refuse_keys(parameters)
    if personalize.slots_in_use() >= limits.MAX_ACTIVE_JOBS:
        # Seen for dataset import jobs; the text for segment jobs is not known.
        raise errors.PersonalizeError(
            errors.LIMIT_EXCEEDED,
            f"More than {limits.MAX_ACTIVE_JOBS} resources with PENDING or "
            "IN_PROGRESS status.",
        )
    if arn in personalize.jobs:
        raise errors.PersonalizeError(
            errors.RESOURCE_ALREADY_EXISTS,
            f"Another batch segment job with the name {name} exists already.",
        )
    version = _usable_version(personalize, parameters["solutionVersionArn"])
    used_filter = _usable_filter(personalize, parameters.get("filterArn"), version)
    storage = JobStorage(
        aws=personalize.aws,
        job_arn=arn,
        role_arn=parameters["roleArn"],
        input_path=parameters["jobInput"]["s3DataSource"]["path"],
        output_path=parameters["jobOutput"]["s3DataDestination"]["path"],
    )
    storage.check_request()
    personalize.start_job(name, arn, parameters, version, used_filter, storage)
    personalize.tags[arn] = _tag_map(parameters.get("tags", []))
    return {"batchSegmentJobArn": arn}


def describe_batch_segment_job(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Describe a job."""
    job = _find(personalize.jobs, parameters["batchSegmentJobArn"])
    return {"batchSegmentJob": job.describe(personalize.now())}


def list_batch_segment_jobs(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """List jobs, oldest first."""
    wanted = parameters.get("solutionVersionArn")
    summaries = [
        job.summarize(personalize.now())
        for job in personalize.jobs.values()
        if wanted in {None, job.request["solutionVersionArn"]}
    ]
    return _page("batchSegmentJobs", summaries, parameters)


def describe_dataset_group(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Describe a dataset group."""
    group = _find(personalize.groups, parameters["datasetGroupArn"])
    return {"datasetGroup": group.describe()}


def describe_solution(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Describe a solution."""
    solution = _find(personalize.solutions, parameters["solutionArn"])
    return {"solution": solution.describe()}


def list_solutions(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """List solutions, oldest first."""
    wanted = parameters.get("datasetGroupArn")
    summaries = [
        each.summarize()
        for each in personalize.solutions.values()
        if wanted in {None, each.group.arn}
    ]
    return _page("solutions", summaries, parameters)


def describe_solution_version(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Describe a solution version."""
    version = _find(personalize.versions, parameters["solutionVersionArn"])
    return {"solutionVersion": version.describe()}


def list_solution_versions(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """List solution versions, oldest first."""
    wanted = parameters.get("solutionArn")
    if wanted is not None:
        _find(personalize.solutions, wanted)
    summaries = [
        each.summarize()
        for each in personalize.versions.values()
        if wanted in {None, each.solution.arn}
    ]
    return _page("solutionVersions", summaries, parameters)


def describe_recipe(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Describe a recipe."""
    arn = parameters["recipeArn"]
    for name, recipe_type in RECIPES.items():
        if personalize.recipe_arn(name) == arn:
            summary = _recipe_summary(personalize, name)
            return {"recipe": {**summary, "recipeType": recipe_type}}
    raise errors.not_found(arn)


def list_recipes(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List recipes; those here belong to no domain."""
    summaries = [
        _recipe_summary(personalize, name)
        for name in RECIPES
        if "domain" not in parameters
    ]
    return _page("recipes", summaries, parameters)


def create_filter(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Create a filter, which is ACTIVE at once."""
    group = _find(personalize.groups, parameters["datasetGroupArn"])
    _check_tags(parameters.get("tags", []))
    try:
        arn = personalize.add_filter(
            parameters["name"], parameters["filterExpression"], dataset_group=group.name
        )
    except filters.FilterExpressionError as error:
        raise errors.invalid_input(f"Could not create filter. {error}") from error
    personalize.tags[arn] = _tag_map(parameters.get("tags", []))
    return {"filterArn": arn}


def describe_filter(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Describe a filter."""
    found = _find(personalize.filters, parameters["filterArn"])
    return {"filter": found.describe()}


def list_filters(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List filters, oldest first."""
    wanted = parameters.get("datasetGroupArn")
    summaries = [
        each.summarize()
        for each in personalize.filters.values()
        if wanted in {None, each.group.arn}
    ]
    return _page("Filters", summaries, parameters)


def tag_resource(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Add tags to a resource."""
    tags = _tags_of(personalize, parameters["resourceArn"])
    _check_tags(parameters["tags"], tags)
    tags.update(_tag_map(parameters["tags"]))
    return {}


def untag_resource(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """Take tags off a resource."""
    tags = _tags_of(personalize, parameters["resourceArn"])
    if len(parameters["tagKeys"]) > limits.MAX_TAGS:
        raise errors.PersonalizeError(errors.TOO_MANY_TAG_KEYS)
    for key in parameters["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags_for_resource(
    personalize: "EmulatedPersonalize", parameters: Parameters
) -> Answer:
    """List the tags of a resource."""
    tags = _tags_of(personalize, parameters["resourceArn"])
    return {"tags": [{"tagKey": key, "tagValue": tags[key]} for key in tags]}


OPERATIONS: Final[
    Mapping[str, Callable[["EmulatedPersonalize", Parameters], Answer]]
] = {
    "CreateBatchSegmentJob": create_batch_segment_job,
    "CreateFilter": create_filter,
    "DescribeBatchSegmentJob": describe_batch_segment_job,
    "DescribeDatasetGroup": describe_dataset_group,
    "DescribeFilter": describe_filter,
    "DescribeRecipe": describe_recipe,
    "DescribeSolution": describe_solution,
    "DescribeSolutionVersion": describe_solution_version,
    "ListBatchSegmentJobs": list_batch_segment_jobs,
    "ListFilters": list_filters,
    "ListRecipes": list_recipes,
    "ListSolutionVersions": list_solution_versions,
    "ListSolutions": list_solutions,
    "ListTagsForResource": list_tags_for_resource,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}


def _usable_version(personalize: "EmulatedPersonalize", arn: str) -> SolutionVersion:
    version = _find(personalize.versions, arn)
    recipe = version.solution.recipe
    if RECIPES.get(recipe) != USER_SEGMENTATION:
        raise errors.invalid_input(
            f"The recipe {recipe} of solution version {arn} is not of type "
            f"{USER_SEGMENTATION}."
        )
    if version.status != jobs.ACTIVE:
        raise errors.invalid_input(
            f"The solution version {arn} must be ACTIVE, it is {version.status}."
        )
    return version


def _usable_filter(
    personalize: "EmulatedPersonalize", arn: str | None, version: SolutionVersion
) -> Filter | None:
    if arn is None:
        return None
    found = _find(personalize.filters, arn)
    if found.status != jobs.ACTIVE:
        raise errors.invalid_input(
            f"The filter {arn} must be ACTIVE, it is {found.status}."
        )
    if found.group is not version.solution.group:
        raise errors.invalid_input(
            f"The filter {arn} and the solution version {version.arn} must be of the "
            "same dataset group."
        )
    on_interactions = any(
        field.startswith("Interactions.") for field in found.parsed.fields
    )
    if on_interactions and version.solution.recipe == limits.ITEM_ATTRIBUTE_AFFINITY:
        raise errors.invalid_input(
            f"The filter {arn} is on interactions, which {version.solution.recipe} "
            "does not support."
        )
    return found


def _refuse_keys(parameters: Parameters) -> None:
    for place, location in (
        ("jobInput", "s3DataSource"),
        ("jobOutput", "s3DataDestination"),
    ):
        if "kmsKeyArn" in parameters[place][location]:
            raise errors.invalid_input(
                f"{place}.{location}.kmsKeyArn is not emulated by local AWS"
            )


def _check_tags(tags: Sequence[Mapping[str, str]], present: Iterable[str] = ()) -> None:
    keys = [tag["tagKey"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise errors.invalid_input("tags must not name a key twice")
    for tag in tags:
        problem = limits.tag_problem(tag["tagKey"], tag["tagValue"])
        if problem:
            raise errors.invalid_input(f"tags: {problem}")
    if len({*keys, *present}) > limits.MAX_TAGS:
        raise errors.PersonalizeError(errors.TOO_MANY_TAGS)


def _tag_map(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {tag["tagKey"]: tag["tagValue"] for tag in tags}


def _tags_of(personalize: "EmulatedPersonalize", arn: str) -> dict[str, str]:
    kinds: tuple[Mapping[str, object], ...] = (
        personalize.jobs,
        personalize.filters,
        personalize.solutions,
        personalize.groups,
    )
    if not any(arn in kind for kind in kinds):
        raise errors.not_found(arn)
    return personalize.tags.setdefault(arn, {})


def _recipe_summary(personalize: "EmulatedPersonalize", name: str) -> Answer:
    return {
        "name": name,
        "recipeArn": personalize.recipe_arn(name),
        "status": jobs.ACTIVE,
    }


def _find(found: Mapping[str, _T], arn: str) -> _T:
    if arn not in found:
        raise errors.not_found(arn)
    return found[arn]


def _page(name: str, summaries: list[Answer], parameters: Parameters) -> Answer:
    start = _offset(parameters.get("nextToken"), len(summaries))
    end = start + parameters.get("maxResults", _PAGE)
    page: Answer = {name: summaries[start:end]}
    if end < len(summaries):
        page["nextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return page


def _offset(token: str | None, count: int) -> int:
    if token is None:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        offset = -1
    if not 0 < offset <= count:
        raise errors.PersonalizeError(errors.INVALID_NEXT_TOKEN)
    return offset
