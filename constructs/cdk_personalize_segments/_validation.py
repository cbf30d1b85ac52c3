"""Checks of property values at synth: token-safe, one sentence each.

A value that is only known at deployment (a token) passes every check here; the
run checks it again where it is known.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import aws_cdk as cdk

from cdk_personalize_segments._runtime import arns, limits
from cdk_personalize_segments._service_limits import MAX_BATCH_WINDOW_SECONDS

_HOUR = 3600
_DAY = 24 * _HOUR
# Events that the history of one execution takes in the worst case, of the
# 25,000 that Step Functions allows: 7 for each part, collected and looked at
# once more, for the 1000 parts of the largest job, and the states around them.
_EVENTS_AT_MOST = 24_500
_EVENTS_OF_PARTS = 2 * 7 * limits.MAX_INPUT_FILES + 200
# A loop of wait, task and choice.
_EVENTS_PER_LOOP = 9
# The shortest wait for a job slot, once waiting takes long.
_SLOT_WAIT_SECONDS = 240

_MOST_OF_SUFFIXES = 500


def is_token(value: object) -> bool:
    """Tell whether a value is only known at deployment."""
    return bool(cdk.Token.is_unresolved(value))


def are_different(theirs: str, ours: str) -> bool:
    """Tell whether two accounts or Regions are known to be different ones."""
    return theirs != ours and not (is_token(theirs) or is_token(ours))


def check_type(name: str, value: object, kind: type, wanted: str) -> None:
    """Check that a property is of its type.

    Args:
        name: The property, for the message.
        value: Its value.
        kind: Its type.
        wanted: The type in words, with an example.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")


def check_bucket_type(name: str, value: object) -> None:
    """Check that a property is a bucket.

    Raises:
        TypeError: It is something else, such as a bucket's name.
    """
    if not hasattr(value, "bucket_arn"):
        raise TypeError(
            f"{name} must be a bucket, like s3.Bucket.from_bucket_name(scope, id, "
            f"name), got {value!r}"
        )


def check_same_place(
    name: str,
    account: str,
    region: str,
    stack: cdk.Stack,
    *,
    beside: str = "the pipeline",
    who: str = "Personalize",
) -> None:
    """Check that something is in the account and Region of the stack, if known.

    Args:
        name: The property, for the message.
        account: The account that it is in, or a token.
        region: Its Region, or a token.
        stack: Where the pipeline is.
        beside: What is in the stack.
        who: Who needs both in one place.

    Raises:
        ValueError: It is elsewhere.
    """
    for what, theirs, ours in (
        ("account", account, stack.account),
        ("Region", region, stack.region),
    ):
        if are_different(theirs, ours):
            raise ValueError(
                f"{name} is in the {what} {theirs}, {beside} in {ours}; {who} needs "
                f"both in one {what}"
            )


def check_topic(topic: Any, stack: cdk.Stack) -> None:  # noqa: ANN401
    """Check that notices can go to a topic.

    Args:
        topic: The topic.
        stack: Where the pipeline is.

    Raises:
        TypeError: It is something else, such as an ARN.
        ValueError: It is a FIFO topic, or in another Region.
    """
    if not hasattr(topic, "topic_arn"):
        raise TypeError(
            "notification_topic must be a topic, like sns.Topic(scope, id) or "
            f"sns.Topic.from_topic_arn(scope, id, arn), got {topic!r}"
        )
    if topic.fifo:
        raise ValueError(
            "notification_topic must be a standard topic, since FIFO topics send no "
            f"e-mail; {topic.node.path} is a FIFO topic"
        )
    if are_different(topic.env.region, stack.region):
        raise ValueError(
            f"notification_topic is in the Region {topic.env.region}, the pipeline in "
            f"{stack.region}; pass a topic of the pipeline's Region"
        )


def check_arn_place(name: str, value: str, stack: cdk.Stack) -> None:
    """Check that what an ARN names is in the account and Region of the stack.

    Raises:
        ValueError: It is elsewhere.
    """
    parsed = None if is_token(value) else arns.parse(value)
    if parsed:
        check_same_place(name, parsed.account, parsed.region, stack)


def check_arn(name: str, value: str, wanted: str) -> None:
    """Check that a property is a Personalize ARN of the kind wanted.

    Args:
        name: The property, for the message.
        value: Its value.
        wanted: A kind of `arns`.

    Raises:
        ValueError: It is of another kind, or malformed.
    """
    if is_token(value):
        return
    problem = arns.problem(value, wanted)
    if problem:
        raise ValueError(f"{name} {problem}{_instead(name, value, wanted)}")


def _instead(name: str, value: str, wanted: str) -> str:
    given = arns.kind(value) if isinstance(value, str) else ""
    if wanted == arns.SOLUTION_VERSION and given == arns.SOLUTION:
        return "; for its newest version use SolutionVersion.latest_of(solution_arn)"
    if wanted == arns.SOLUTION and given == arns.SOLUTION_VERSION:
        return (
            "; for just this version use "
            "SolutionVersion.from_arn(solution_version_arn), for the newest leave "
            "the version's id off"
        )
    return ""


def check_num_results(value: int) -> None:
    """Check the number of users per segment.

    Raises:
        ValueError: It is out of range.
    """
    if is_token(value):
        return
    problem = limits.num_results_problem(value)
    if problem:
        raise ValueError(f"num_results {problem}")


def check_job_tags(tags: Mapping[str, str]) -> None:
    """Check the tags of jobs.

    Raises:
        TypeError: They are not a mapping.
        ValueError: There are too many, or one breaks a rule.
    """
    check_type("job_tags", tags, Mapping, 'a mapping, like {"team": "crm"}')
    if len(tags) > limits.MAX_TAGS:
        raise ValueError(
            f"job_tags must hold at most {limits.MAX_TAGS} tags, got {len(tags)}"
        )
    for key, value in tags.items():
        if is_token(key) or is_token(value):
            continue
        problem = limits.tag_problem(key, value)
        if problem:
            raise ValueError(f"job_tags: {problem}")


def check_max_failed_queries(value: int | None) -> None:
    """Check the number of failed queries that a run may have.

    Raises:
        ValueError: It is negative or not a whole number.
    """
    if value is None or is_token(value):
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(
            "max_failed_queries must be a whole number, 0 or more, or None for no "
            f"bound, got {value!r}"
        )


def check_prefix(name: str, value: str) -> None:
    """Check that a prefix is a folder inside a bucket.

    Raises:
        TypeError: It is not a string.
        ValueError: It starts with a slash or does not end in one, or has characters
            that mean something in policies.
    """
    if is_token(value):
        raise ValueError(
            f"{name} must be known at synth, since prefixes are compared with one "
            "another; pass a plain string"
        )
    check_type(name, value, str, "a string, like 'segments/queries/'")
    forbidden = re.sub(r"[\w!.'()=+@/-]", "", value, flags=re.ASCII)
    if forbidden:
        raise ValueError(
            f"{name} must have letters, digits and _!.'()=+@/- only, since it becomes "
            f"part of policies, got {forbidden[0]!r} in {value!r}"
        )
    if value.startswith("/") or not value.endswith("/") or "//" in value:
        raise ValueError(
            f"{name} must be a folder that ends in '/', does not start with one and "
            f"has no empty name inside, like 'segments/queries/', got {value!r}"
        )


def check_disjoint(prefixes: Mapping[str, str]) -> None:
    """Check that no prefix of a bucket contains another one.

    Args:
        prefixes: Each prefix by the name of its property.

    Raises:
        ValueError: One contains another.
    """
    names = list(prefixes)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            longer, shorter = sorted(
                (prefixes[first], prefixes[second]), key=len, reverse=True
            )
            if longer.startswith(shorter):
                raise ValueError(
                    f"{first} {prefixes[first]!r} and {second} {prefixes[second]!r} "
                    "lie in the same bucket and one contains the other; choose "
                    "prefixes beside each other"
                )


def check_path_length(name: str, longest: str) -> None:
    """Check that a path fits what Personalize accepts.

    Args:
        name: The property that makes the path long.
        longest: The longest path that a run can have.

    Raises:
        ValueError: It is too long.
    """
    if len(longest) > limits.MAX_S3_PATH_LENGTH:
        raise ValueError(
            f"{name} makes S3 paths of up to {len(longest)} characters, like "
            f"{longest!r}; Personalize takes at most {limits.MAX_S3_PATH_LENGTH}: "
            f"shorten it by {len(longest) - limits.MAX_S3_PATH_LENGTH}"
        )


def check_times(
    poll_interval: cdk.Duration, queue_timeout: cdk.Duration, job_timeout: cdk.Duration
) -> None:
    """Check that interval and time-outs go together.

    Raises:
        TypeError: One is not a duration.
        ValueError: One is too short, or together they need more events than the
            history of an execution can hold.
    """
    times = {
        "poll_interval": poll_interval,
        "queue_timeout": queue_timeout,
        "job_timeout": job_timeout,
    }
    poll, queue, job = (
        known_seconds(name, duration) for name, duration in times.items()
    )
    if poll < 10:
        raise ValueError(
            "poll_interval must be at least 10 seconds, got "
            f"{poll_interval.to_human_string()}"
        )
    if poll > job:
        raise ValueError(
            f"poll_interval ({poll_interval.to_human_string()}) must not be longer "
            f"than job_timeout ({job_timeout.to_human_string()})"
        )
    if queue < 60:
        raise ValueError(
            "queue_timeout must be at least 1 minute, got "
            f"{queue_timeout.to_human_string()}"
        )
    room = _EVENTS_AT_MOST - _EVENTS_OF_PARTS
    queueing = _EVENTS_PER_LOOP * (queue / _SLOT_WAIT_SECONDS + 10)
    if queueing + _EVENTS_PER_LOOP * job / poll > room:
        raise ValueError(
            f"polling every {poll_interval.to_human_string()} for up to "
            f"{job_timeout.to_human_string()}, after waiting for a job slot for up to "
            f"{queue_timeout.to_human_string()}, can exceed the 25,000 events that "
            "the history of a Step Functions execution holds; "
            + _way_out(poll, job, room - queueing)
        )


def known_seconds(name: str, value: Any) -> int:  # noqa: ANN401
    """Check a duration, and give it in seconds.

    Args:
        name: The property, for the message.
        value: Its value.

    Raises:
        TypeError: It is not a duration.
        ValueError: It is not whole seconds, or known at deployment only.
    """
    _check_duration_type(name, value)
    if value.is_unresolved():
        raise ValueError(f"{name} must be known at synth; pass a plain Duration")
    if value.to_milliseconds() % 1000:
        raise ValueError(f"{name} must be whole seconds, got {value.to_human_string()}")
    return int(value.to_seconds())


def _check_duration_type(name: str, value: object) -> None:
    check_type(name, value, cdk.Duration, "a Duration, like cdk.Duration.minutes(5)")


def check_expiration(expiration: cdk.Duration | None, output_bucket: Any) -> None:  # noqa: ANN401
    """Check when outputs and results expire.

    Args:
        expiration: After which time, or None.
        output_bucket: The bucket that was passed, or None.

    Raises:
        TypeError: It is not a duration.
        ValueError: S3 does not expire so soon, or the bucket is not defined here.
    """
    if expiration is None:
        return
    _check_duration_type("output_expiration", expiration)
    if output_bucket is not None:
        raise ValueError(
            "output_expiration has no effect on an output_bucket that is passed; give "
            "that bucket a lifecycle rule, or leave one of the two out"
        )
    if expiration.is_unresolved():
        raise ValueError("output_expiration must be known at synth")
    seconds = expiration.to_seconds()
    if seconds < _DAY or seconds % _DAY:
        raise ValueError(
            "output_expiration must be whole days, 1 or more, got "
            f"{expiration.to_human_string()}"
        )


def check_uploads(
    suffixes: Sequence[str] | None,
    window: cdk.Duration | None,
    *,
    start_on_upload: bool,
) -> None:
    """Check which uploads start runs, and how long more of them are waited for.

    Args:
        suffixes: How the names of files end, or None for any.
        window: How long uploads are collected, or None for the default.
        start_on_upload: Whether uploads start runs.

    Raises:
        TypeError: One is of another type.
        ValueError: One is not allowed, or has no effect.
    """
    for name, value in (("upload_suffixes", suffixes), ("upload_window", window)):
        if value is not None and not start_on_upload:
            raise ValueError(
                f"{name} has no effect without start_on_upload=True; add that, or "
                f"leave {name} out"
            )
    if suffixes is not None:
        _check_suffixes(suffixes)
    if window is None:
        return
    if not 1 <= known_seconds("upload_window", window) <= MAX_BATCH_WINDOW_SECONDS:
        raise ValueError(
            "upload_window must be from 1 second to "
            f"{MAX_BATCH_WINDOW_SECONDS // 60} minutes, which is the most that Lambda "
            f"waits for messages, got {window.to_human_string()}"
        )


def _check_suffixes(suffixes: Sequence[str]) -> None:
    wanted = "a list of how file names end, like ['.jsonl', '.jsonl.gz']"
    if isinstance(suffixes, str) or not isinstance(suffixes, Sequence):
        raise TypeError(f"upload_suffixes must be {wanted}, got {suffixes!r}")
    if not suffixes:
        raise ValueError(
            "upload_suffixes is empty, so that no upload would start a run; leave it "
            "out for files of any name"
        )
    for each in suffixes:
        check_type("upload_suffixes", each, str, wanted)
        if is_token(each):
            raise ValueError(
                "upload_suffixes must be known at synth; pass plain strings"
            )
        # Escaped, these would do; but nobody names files so.
        if not each or each.endswith("/") or re.search(r"[*\\]", each):
            raise ValueError(
                f"upload_suffixes must be {wanted}, without * and \\ and not ending in "
                f"'/', got {each!r}"
            )
    length = sum(len(json.dumps(each)) for each in suffixes)
    if length > _MOST_OF_SUFFIXES:
        raise ValueError(
            f"upload_suffixes are {length:,} characters long together, and at most "
            f"{_MOST_OF_SUFFIXES:,} fit into the pattern of an EventBridge rule; leave "
            "some out"
        )


def _way_out(poll: float, job: float, room: float) -> str:
    if room < _EVENTS_PER_LOOP * 2:
        return "shorten queue_timeout"
    interval = -(-_EVENTS_PER_LOOP * job // room)
    return (
        f"make poll_interval at least {interval:.0f} seconds, or job_timeout at most "
        f"{room * poll / _EVENTS_PER_LOOP / _HOUR:.1f} hours"
    )


def check_by_severity(name: str, value: object, severities: type[Enum]) -> None:
    """Check that a property has its values by severity.

    Args:
        name: The property, for the message.
        value: Its value.
        severities: The severities that there are.

    Raises:
        TypeError: It is no mapping, or one of something else.
    """
    example = next(iter(severities))
    if not isinstance(value, Mapping) or not all(
        isinstance(each, severities) for each in value
    ):
        raise TypeError(
            f"{name} must be a mapping by severity, like {{{example}: ...}}, or empty "
            f"for no such alarm, got {value!r}"
        )


def check_count(name: str, value: Any) -> None:  # noqa: ANN401
    """Check from how many on there is an alarm.

    Raises:
        ValueError: It is not a whole number, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"{name} must be a whole number known at synth, 1 or more, got {value!r}; "
            "leave the severity out for no such alarm"
        )


def check_within(value: Any) -> None:  # noqa: ANN401
    """Check in which time alarms count.

    Raises:
        TypeError: It is not a duration.
        ValueError: CloudWatch takes no such period.
    """
    seconds = known_seconds("within", value)
    if not 60 <= seconds <= _DAY or seconds % 60:
        raise ValueError(
            "within must be whole minutes, from 1 minute to 1 day, which is what "
            f"alarms look back for, got {value.to_human_string()}"
        )


def check_wait(queue_timeout: cdk.Duration) -> Callable[[str, Any], None]:
    """Make a check of how long a run waits before there is an alarm.

    Args:
        queue_timeout: How long it waits at most.
    """

    def check(name: str, value: Any) -> None:  # noqa: ANN401
        if not 0 < known_seconds(name, value) < queue_timeout.to_seconds():
            raise ValueError(
                f"{name} must be shorter than queue_timeout "
                f"({queue_timeout.to_human_string()}), since no run waits longer, and "
                f"longer than nothing, got {value.to_human_string()}"
            )

    return check


def check_silence(name: str, value: Any) -> None:  # noqa: ANN401
    """Check for how long no run has succeeded before there is an alarm.

    Raises:
        TypeError: It is not a duration.
        ValueError: CloudWatch does not look back for so long.
    """
    seconds = known_seconds(name, value)
    if not _HOUR <= seconds <= 7 * _DAY or seconds % _HOUR:
        raise ValueError(
            f"{name} must be whole hours, from 1 hour to 7 days, which is what alarms "
            f"look back for, got {value.to_human_string()}"
        )


def check_alarm_action(name: str, value: object) -> None:
    """Check that something is what an alarm can do.

    Raises:
        TypeError: It is something else, such as a topic.
    """
    if not hasattr(value, "bind"):
        raise TypeError(
            f"{name} must be an action of aws_cloudwatch_actions, like "
            f"SnsAction(topic), got {value!r}"
        )


def check_url(name: str, value: object) -> None:
    """Check that a property is the address of a page, without an anchor.

    Raises:
        ValueError: It is something else.
    """
    if is_token(value):
        return
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s#]+", value):
        raise ValueError(
            f"{name} must be the address of a page, like https://wiki.example.com/"
            f"segments, without an anchor, got {value!r}"
        )
