"""How solution versions come to be: at once for tests, or by training over time.

A training takes the data as they are when it is in progress. Automatic training
follows the API reference of CreateSolution and UpdateSolution: by default on, the
first one an hour after the solution was created or updated (the service says "within
one hour") unless a version was created meanwhile, then one every 7 days, or as the
solution's `schedulingExpression` says.
https://docs.aws.amazon.com/personalize/latest/dg/API_CreateSolution.html

Decided here, since no source says: the text of the limit's error, how long stopping
takes, and that a model for attributes fails to train on items without columns.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local.personalize import errors
from cdk_personalize_segments.local.personalize.resources import (
    ACTIVE,
    FAILED,
    IN_PROGRESS,
    PENDING,
    STOPPED,
    STOPPING,
    Solution,
    SolutionVersion,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize

# Solution versions pending or in progress per Region, by the page on quotas.
MAX_TRAININGS: Final = 20
FIRST_AUTOMATIC: Final = timedelta(hours=1)
EVERY_DAYS: Final = 7
MAX_EVERY_DAYS: Final = 30
STOPPING_TIME: Final = timedelta(minutes=1)
# For dataset groups without enough data, and nothing is less than nothing.
# https://docs.aws.amazon.com/personalize/latest/dg/error-messages.html
NO_DATA: Final = (
    "Create failed. Dataset has fewer than 25 users with at least 2 interactions each."
)


def add_version(
    personalize: "EmulatedPersonalize",
    solution: Solution,
    status: str,
    *,
    name: str | None = None,
    failure_reason: str | None = None,
    created: datetime | None = None,
) -> SolutionVersion:
    """Add a version to a solution, as trained on the data that there are.

    Args:
        personalize: The emulated Personalize.
        solution: The solution.
        status: The version's status, in which it stays.
        name: The version's name. Default: its id, the last part of its ARN.
        failure_reason: Why it failed, if it did.
        created: When it is created. Default: now.
    """
    number = len(solution.versions)
    identity = f"{solution.name} {number}"
    version_id = hashlib.sha256(identity.encode()).hexdigest()[:8]
    # Real versions cannot be created at the same moment: a training lies between.
    created = created or personalize.now()
    if solution.versions:
        created = max(created, solution.versions[-1].created + timedelta(seconds=1))
    version = SolutionVersion(
        arn=f"{solution.arn}/{version_id}",
        name=name or version_id,
        solution=solution,
        status=status,
        created=created,
        updated=created,
        failure_reason=failure_reason,
        affinity=solution.group.affinity,
    )
    solution.versions.append(version)
    personalize.versions[version.arn] = version
    return version


def start(
    personalize: "EmulatedPersonalize",
    solution: Solution,
    *,
    name: str | None = None,
    automatic_at: datetime | None = None,
) -> SolutionVersion:
    """Start to train a version.

    Args:
        personalize: The emulated Personalize.
        solution: The solution.
        name: The version's name.
        automatic_at: When the training started by itself, if it did.

    Raises:
        PersonalizeError: LimitExceededException, if too many train already.
    """
    if sum(each.trains for each in personalize.versions.values()) >= MAX_TRAININGS:
        raise errors.limit_exceeded(
            f"More than {MAX_TRAININGS} resources with PENDING or IN_PROGRESS status."
        )
    version = add_version(
        personalize, solution, PENDING, name=name, created=automatic_at
    )
    version.training_type = "AUTOMATIC" if automatic_at else "MANUAL"
    version.affinity = None
    failures = personalize.training_failures
    failure = failures.pop(0) if failures else None
    timing = personalize.training_timing
    version.training_time = timing.working
    starts = version.created + timing.pending
    ends = starts + timing.working

    def begin() -> None:
        if version.status == PENDING:
            version.change(IN_PROGRESS, starts)
            version.affinity = solution.group.affinity
            personalize.agenda.add(ends, end)

    def end() -> None:
        if version.status != IN_PROGRESS:
            return
        reason = failure or _problem(version)
        if reason:
            version.change(FAILED, ends, reason)
        else:
            version.change(ACTIVE, ends)

    personalize.agenda.add(starts, begin)
    return version


def stop(personalize: "EmulatedPersonalize", version: SolutionVersion) -> None:
    """Stop a training: at once if it is pending, else within a minute.

    Args:
        personalize: The emulated Personalize.
        version: What is trained.

    Raises:
        PersonalizeError: InvalidInputException, if it neither is pending nor in
            progress. Which error the service has for this is not known.
    """
    now = personalize.now()
    if version.status == PENDING:
        version.change(STOPPED, now)
    elif version.status == IN_PROGRESS:
        version.change(STOPPING, now)
        stopped = now + STOPPING_TIME
        personalize.agenda.add(stopped, lambda: version.change(STOPPED, stopped))
    else:
        raise errors.invalid_input(
            f"The solution version {version.arn} must be {PENDING} or {IN_PROGRESS}, "
            f"it is {version.status}."
        )


def check_schedule(expression: str | None) -> None:
    """Check how often versions are to be trained by themselves.

    Raises:
        PersonalizeError: InvalidInputException, if it is not every 1 to 30 days.
    """
    if not 1 <= _days(expression) <= MAX_EVERY_DAYS:
        raise errors.invalid_input(
            f"schedulingExpression must be 1 to {MAX_EVERY_DAYS} days, got {expression}"
        )


def plan(personalize: "EmulatedPersonalize", solution: Solution) -> None:
    """Plan automatic training from now on, or no longer.

    Args:
        personalize: The emulated Personalize.
        solution: What was created or updated just now.
    """
    solution.plans += 1
    if not solution.auto_training:
        return
    auto = solution.config.get("autoTrainingConfig", {})
    every = timedelta(days=_days(auto.get("schedulingExpression")))
    number, known = solution.plans, len(solution.versions)
    first = personalize.now() + FIRST_AUTOMATIC

    def train_at(when: datetime) -> Callable[[], None]:
        def train() -> None:
            gone = personalize.solutions.get(solution.arn) is not solution
            if gone or solution.plans != number:
                return
            personalize.agenda.add(when + every, train_at(when + every))
            if when > first or len(solution.versions) == known:
                start(personalize, solution, automatic_at=when)

        return train

    personalize.agenda.add(first, train_at(first))


def _days(expression: str | None) -> int:
    number = re.search(r"\d+", expression or "")
    return int(number[0]) if number else EVERY_DAYS


def _problem(version: SolutionVersion) -> str | None:
    dataset = version.dataset
    if dataset is None:
        return NO_DATA
    by_attribute = version.solution.recipe == limits.ITEM_ATTRIBUTE_AFFINITY
    if by_attribute and not dataset.item_columns:
        return (
            f"{version.solution.recipe} needs at least one metadata column in the "
            "Items dataset."
        )
    return None
