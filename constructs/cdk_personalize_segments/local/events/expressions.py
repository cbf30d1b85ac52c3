"""When schedules are due: rate, cron and at expressions, in time zones.

A local time that a change of clocks skips is skipped, and one that it repeats is met
once; AWS does not say whether at its first or second time: here at the first.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import calendar
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199
_EXPRESSION: Final = re.compile(r"(\w+)\((.*)\)")
_RATE: Final = re.compile(r"(\d+) (minute|hour|day)(s?)")
_AT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_MONTHS: Final = {
    name.upper(): number for number, name in enumerate(calendar.month_abbr) if name
}
# Sunday is 1.
_WEEKDAYS: Final = {
    name: number
    for number, name in enumerate(
        ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1
    )
}


class InvalidExpressionError(ValueError):
    """An expression is not one of AWS's."""


class Expression(ABC):
    """When something is due."""

    recurs = True

    @abstractmethod
    def after(self, instant: datetime, began: datetime) -> datetime | None:
        """Give the first time after an instant, or None.

        Args:
            instant: What it must be after.
            began: When the schedule began, from which rates count.
        """


@dataclass(frozen=True)
class At(Expression):
    """One instant."""

    instant: datetime
    recurs = False

    def after(self, instant: datetime, began: datetime) -> datetime | None:
        """Give the one, if it is after."""
        return self.instant if self.instant > instant else None


@dataclass(frozen=True)
class Rate(Expression):
    """Every so often; a day is 24 hours, whatever the clocks do."""

    every: timedelta

    def after(self, instant: datetime, began: datetime) -> datetime | None:
        """Give the first of the beginning and what follows it at that rate."""
        if began > instant:
            return began
        return began + ((instant - began) // self.every + 1) * self.every


@dataclass(frozen=True)
class Cron(Expression):
    """At the times that fields describe."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: "_Days"
    months: frozenset[int]
    years: frozenset[int]
    zone: ZoneInfo

    def after(self, instant: datetime, began: datetime) -> datetime | None:
        """Give the first that is after."""
        # A day earlier: what the clocks repeat may belong to yesterday.
        today = instant.astimezone(self.zone).date() - timedelta(days=1)
        for day in self._dates(today):
            for each in self._times(day):
                if each > instant:
                    return each
        return None

    def _dates(self, day: date) -> Iterator[date]:
        while day.year <= _LAST_YEAR:
            if day.year not in self.years or day.month not in self.months:
                # On to the first of the next month.
                day = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
                continue
            if self.days.has(day):
                yield day
            day += timedelta(days=1)

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                found = _instant(datetime.combine(day, time(hour, minute)), self.zone)
                if found is not None:
                    yield found


@dataclass(frozen=True)
class _Days:
    """Which days of a month: by number or by day of the week, as cron writes it."""

    of_month: str
    of_week: str

    def has(self, day: date) -> bool:
        if self.of_week != "?":
            return self._has_weekday(day)
        last = calendar.monthrange(day.year, day.month)[1]
        for each in self.of_month.split(","):
            wanted: frozenset[int] = frozenset()
            if each == "L":
                wanted = frozenset({last})
            elif each == "LW":
                wanted = frozenset({_nearest_weekday(day, last, last)})
            elif each.endswith("W"):
                number = _number(each[:-1], 1, 31, "day of month")
                if number <= last:
                    wanted = frozenset({_nearest_weekday(day, number, last)})
            else:
                wanted = _values(each, 1, 31, {}, "day of month")
            if day.day in wanted:
                return True
        return False

    def _has_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % 7 + 1
        last = calendar.monthrange(day.year, day.month)[1]
        for each in self.of_week.split(","):
            name, hash_sign, which = each.partition("#")
            if hash_sign:
                number = _number(which, 1, 5, "day of week")
                found = (day.day - 1) // 7 + 1 == number
            elif each == "L":
                name, found = "SAT", True
            elif each.endswith("L"):
                name, found = each[:-1], day.day + 7 > last
            else:
                found = True
            if found and weekday in _values(name, 1, 7, _WEEKDAYS, "day of week"):
                return True
        return False


def parse(text: str, zone_name: str = "UTC") -> Expression:
    """Parse an expression.

    Args:
        text: `rate(…)`, `cron(…)` or `at(…)`.
        zone_name: The time zone, as the IANA database names it.

    Raises:
        InvalidExpressionError: It is malformed, or there is no such zone.
    """
    try:
        zone = ZoneInfo(zone_name)
    except (KeyError, ValueError, OSError):
        raise InvalidExpressionError(f"there is no time zone {zone_name!r}") from None
    written = _EXPRESSION.fullmatch(text)
    if written and written[1] in KINDS:
        return KINDS[written[1]](text, written[2], zone)
    raise _no_expression(text)


def _rate(text: str, written: str, _: ZoneInfo) -> Rate:
    rate = _RATE.fullmatch(written)
    if rate is None:
        raise _no_expression(text)
    count = int(rate[1])
    if count == 0:
        raise InvalidExpressionError(f"the rate in {text!r} must be above 0")
    if (count == 1) is bool(rate[3]):
        raise InvalidExpressionError(
            f"{text!r} must have {rate[2]}{'' if count == 1 else 's'}"
        )
    return Rate(count * timedelta(**{f"{rate[2]}s": 1}))


def _at(text: str, written: str, zone: ZoneInfo) -> At:
    if not _AT.fullmatch(written):
        raise _no_expression(text)
    try:
        local = datetime.fromisoformat(written)
    except ValueError:
        raise InvalidExpressionError(f"{text!r} has no such date or time") from None
    instant = _instant(local, zone)
    if instant is None:
        raise InvalidExpressionError(f"the clocks in {zone.key} skip {written}")
    return At(instant)


def _instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    """Give the instant of a local time, None if the clocks skip it."""
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    back = instant.astimezone(zone).replace(tzinfo=None)
    return instant if back == local else None


def _cron(text: str, written: str, zone: ZoneInfo) -> Cron:
    fields = written.split()
    if len(fields) != 6:
        raise InvalidExpressionError(
            f"{text!r} must have six fields: minutes hours day-of-month month "
            "day-of-week year"
        )
    minutes, hours, of_month, months, of_week, years = (
        field.upper() for field in fields
    )
    if (of_month == "?") is (of_week == "?"):
        raise InvalidExpressionError(
            f"{text!r} must have ? for either the day of month or the day of week"
        )
    days = _Days(of_month, of_week)
    # Reads each part once, so that what is malformed is found now.
    for day in range(1, 32):
        days.has(date(2024, 1, day))
    return Cron(
        _list(minutes, 0, 59, {}, "minutes"),
        _list(hours, 0, 23, {}, "hours"),
        days,
        _list(months, 1, 12, _MONTHS, "month"),
        _list(years, _FIRST_YEAR, _LAST_YEAR, {}, "year"),
        zone,
    )


def _list(
    field: str, low: int, high: int, names: Mapping[str, int], what: str
) -> frozenset[int]:
    parts = (_values(each, low, high, names, what) for each in field.split(","))
    return frozenset().union(*parts)


def _values(
    part: str, low: int, high: int, names: Mapping[str, int], what: str
) -> frozenset[int]:
    """Read a value, range or step."""
    span, slash, step = part.partition("/")
    first, dash, end = span.partition("-")
    if first == "*":
        start, stop = low, high
    else:
        start = _number(str(names.get(first, first)), low, high, what)
        stop = high if slash else start
    if dash:
        stop = _number(str(names.get(end, end)), low, high, what)
    if stop < start or (first == "*" and dash):
        raise InvalidExpressionError(f"the range {part!r} in {what} is none")
    width = _number(step, 1, high, what) if slash else 1
    return frozenset(range(start, stop + 1, width))


def _number(text: str, low: int, high: int, what: str) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise InvalidExpressionError(f"{text!r} in {what} must be from {low} to {high}")
    return int(text)


def _nearest_weekday(day: date, number: int, last: int) -> int:
    """Give the weekday that is nearest to a day, within its month."""
    weekday = day.replace(day=number).isoweekday()
    if weekday == 6:
        return number - 1 if number > 1 else number + 2
    if weekday == 7:
        return number + 1 if number < last else number - 2
    return number


def _no_expression(text: str) -> InvalidExpressionError:
    return InvalidExpressionError(f"{text!r} is no rate, cron or at expression")


KINDS: Final[Mapping[str, Callable[[str, str, ZoneInfo], Expression]]] = {
    "rate": _rate,
    "cron": _cron,
    "at": _at,
}
"""The kinds of expressions."""
