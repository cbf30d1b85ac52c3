"""Operations on batch segment jobs, which can neither be stopped nor deleted."""

from typing import TYPE_CHECKING

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import errors, filters
from cdk_personalize_segments.local.personalize.operations.common import (
    Answer,
    Parameters,
    check_new,
    check_tags,
    find,
    page,
    tag_map,
)
from cdk_personalize_segments.local.personalize.resources import (
    ACTIVE,
    RECIPES,
    USER_SEGMENTATION,
    Filter,
    SolutionVersion,
)
from cdk_personalize_segments.local.personalize.storage import JobStorage

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize


def create(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Create a job.

    Decided here, since no source says: the limit of jobs is checked before the name,
    so that a repeated call whose first answer was lost can be answered with either; a
    version or filter that is not usable is an InvalidInputException, and so is a
    missing right of the role or of a bucket policy, as it was seen for dataset import
    jobs; ResourceInUseException comes only when a test scripts it.
    """
    name = parameters["jobName"]
    arn = personalize.arn(f"batch-segment-job/{name}")
    problem = limits.num_results_problem(
        parameters.get("numResults", limits.DEFAULT_NUM_RESULTS)
    )
    if problem:
        raise errors.invalid_input(f"numResults {problem}")
    check_tags(parameters.get("tags", []))
    if personalize.slots_in_use() >= limits.MAX_ACTIVE_JOBS:
        # Seen for dataset import jobs; the text for segment jobs is not known.
        raise errors.limit_exceeded(
            f"More than {limits.MAX_ACTIVE_JOBS} resources with PENDING or "
            "IN_PROGRESS status."
        )
    check_new(personalize.jobs, arn, "batch segment job", name)
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
    personalize.tags[arn] = tag_map(parameters.get("tags", []))
    return {"batchSegmentJobArn": arn}


def describe(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """Describe a job."""
    job = find(personalize.jobs, parameters["batchSegmentJobArn"])
    return {"batchSegmentJob": job.describe(personalize.now())}


def list_(personalize: "EmulatedPersonalize", parameters: Parameters) -> Answer:
    """List jobs."""
    wanted = parameters.get("solutionVersionArn")
    summaries = [
        job.summarize(personalize.now())
        for job in personalize.jobs.values()
        if wanted in {None, job.request["solutionVersionArn"]}
    ]
    return page("batchSegmentJobs", summaries, parameters)


def _usable_version(personalize: "EmulatedPersonalize", arn: str) -> SolutionVersion:
    version = find(personalize.versions, arn)
    recipe = version.solution.recipe
    if RECIPES.get(recipe) != USER_SEGMENTATION:
        raise errors.invalid_input(
            f"The recipe {recipe} of solution version {arn} is not of type "
            f"{USER_SEGMENTATION}."
        )
    if version.status != ACTIVE:
        raise errors.invalid_input(
            f"The solution version {arn} must be ACTIVE, it is {version.status}."
        )
    return version


def _usable_filter(
    personalize: "EmulatedPersonalize", arn: str | None, version: SolutionVersion
) -> Filter | None:
    if arn is None:
        return None
    found = find(personalize.filters, arn)
    if found.status != ACTIVE:
        raise errors.invalid_input(
            f"The filter {arn} must be ACTIVE, it is {found.status}."
        )
    if found.group is not version.solution.group:
        raise errors.invalid_input(
            f"The filter {arn} and the solution version {version.arn} must be of the "
            "same dataset group."
        )
    on_interactions = filters.EVENT_TYPE in found.parsed.fields
    if on_interactions and version.solution.recipe == limits.ITEM_ATTRIBUTE_AFFINITY:
        raise errors.invalid_input(
            f"The filter {arn} is on interactions, which {version.solution.recipe} "
            "does not support."
        )
    return found
