"""When schedules are due."""

from datetime import UTC, datetime, timedelta

import pytest

from cdk_personalize_segments.local.events.expressions import (
    InvalidExpressionError,
    parse,
)

START = datetime(2026, 3, 27, 12, 30, tzinfo=UTC)


def due(expression, count, zone="UTC", start=START):
    """Give the next times, in UTC."""
    parsed, times, instant = parse(expression, zone), [], start
    for _ in range(count):
        instant = parsed.after(instant, start)
        if instant is None:
            break
        times.append(instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M"))
    return times


@pytest.mark.emulates("schedule:rate", "schedule:cron", "schedule:at")
@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("cron(0 10 * * ? *)", ["2026-03-28 10:00", "2026-03-29 10:00"]),
        ("cron(15 12 * * ? *)", ["2026-03-28 12:15", "2026-03-29 12:15"]),
        ("cron(0/15 * * * ? *)", ["2026-03-27 12:45", "2026-03-27 13:00"]),
        ("cron(5,35 14 * * ? *)", ["2026-03-27 14:05", "2026-03-27 14:35"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-03-27 18:00", "2026-03-30 18:00"]),
        ("cron(0 8 1 * ? *)", ["2026-04-01 08:00", "2026-05-01 08:00"]),
        ("cron(0 8 L * ? *)", ["2026-03-31 08:00", "2026-04-30 08:00"]),
        ("cron(0 8 LW * ? *)", ["2026-03-31 08:00", "2026-04-30 08:00"]),
        # The first of August 2026 is a Saturday.
        ("cron(0 8 1W 8 ? *)", ["2026-08-03 08:00", "2027-08-02 08:00"]),
        ("cron(0 8 ? * 6L *)", ["2026-04-24 08:00", "2026-05-29 08:00"]),
        ("cron(0 8 ? * 2#1 *)", ["2026-04-06 08:00", "2026-05-04 08:00"]),
        ("cron(0 8 ? JAN,jul SUN 2026-2027)", ["2026-07-05 08:00", "2026-07-12 08:00"]),
        ("cron(0 0 29 2 ? *)", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("cron(0 0 30 2 ? *)", []),
        ("cron(0 0 1 1 ? 2027)", ["2027-01-01 00:00"]),
        ("rate(5 minutes)", ["2026-03-27 12:35", "2026-03-27 12:40"]),
        ("rate(1 day)", ["2026-03-28 12:30", "2026-03-29 12:30"]),
        ("at(2026-03-27T12:30:01)", ["2026-03-27 12:30"]),
        ("at(2026-03-27T12:30:00)", []),
    ],
)
def test_an_expression_is_due(expression, times):
    assert due(expression, 2) == times


def test_a_local_time_follows_the_clocks():
    assert due("cron(0 9 * * ? *)", 3, "Europe/Berlin") == [
        "2026-03-28 08:00",
        "2026-03-29 07:00",
        "2026-03-30 07:00",
    ]


def test_a_local_time_that_is_skipped_is_not_due():
    assert due("cron(30 2 * * ? *)", 2, "Europe/Berlin") == [
        "2026-03-28 01:30",
        "2026-03-30 00:30",
    ]


def test_a_local_time_that_comes_twice_is_due_once():
    before = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert due("cron(30 2 * * ? *)", 2, "Europe/Berlin", before) == [
        "2026-10-25 00:30",
        "2026-10-26 01:30",
    ]


def test_a_day_of_a_rate_is_24_hours():
    assert due("rate(1 day)", 3, "Europe/Berlin") == [
        "2026-03-28 12:30",
        "2026-03-29 12:30",
        "2026-03-30 12:30",
    ]


def test_a_rate_counts_from_its_beginning():
    began = START + timedelta(hours=1)
    parsed = parse("rate(2 hours)")
    assert parsed.after(START, began) == began
    assert parsed.after(began, began) == began + timedelta(hours=2)
    late = began + timedelta(hours=5)
    assert parsed.after(late, began) == began + timedelta(hours=6)


def test_an_at_expression_is_local():
    assert due("at(2026-07-01T09:00:00)", 1, "Asia/Tokyo") == ["2026-07-01 00:00"]


@pytest.mark.parametrize(
    ("expression", "zone", "problem"),
    [
        ("every day", "UTC", "no rate, cron or at"),
        ("rate(0 minutes)", "UTC", "above 0"),
        ("rate(1 minutes)", "UTC", "must have minute"),
        ("rate(2 hour)", "UTC", "must have hours"),
        ("rate(1 week)", "UTC", "no rate"),
        ("cron(0 8 * * ?)", "UTC", "six fields"),
        ("cron(0 8 * * * *)", "UTC", r"must have \? for either"),
        ("cron(0 8 ? * ? *)", "UTC", r"must have \? for either"),
        ("cron(60 8 * * ? *)", "UTC", "minutes must be from 0 to 59"),
        ("cron(0 8 32 * ? *)", "UTC", "day of month must be from 1 to 31"),
        ("cron(0 8 ? * 8 *)", "UTC", "day of week must be from 1 to 7"),
        ("cron(0 8 ? * 2#6 *)", "UTC", "from 1 to 5"),
        ("cron(0 8 * FOO ? *)", "UTC", "month must be from 1 to 12"),
        ("cron(9-5 8 * * ? *)", "UTC", "range"),
        ("at(2026-02-30T00:00:00)", "UTC", "no such date"),
        ("at(2026-03-29T02:30:00)", "Europe/Berlin", "skip"),
        ("rate(1 day)", "Europe/Atlantis", "no time zone"),
    ],
)
def test_what_is_malformed_is_refused(expression, zone, problem):
    with pytest.raises(InvalidExpressionError, match=problem):
        parse(expression, zone)
