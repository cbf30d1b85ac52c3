"""What is known of one metric over time: samples, or a level that changes.

Times are seconds since 1970, of the virtual clock.
"""

import bisect
import math
from abc import ABC, abstractmethod
from typing import Final, NamedTuple

MINUTE: Final = 60


class Sample(NamedTuple):
    """One or more equal values at a time.

    Attributes:
        time: When.
        value: The value.
        unit: Its unit, `None` for none.
        weight: How many such values.
    """

    time: float
    value: float
    unit: str
    weight: float = 1


class _Change(NamedTuple):
    time: float
    value: float | None
    slope: float


class Series(ABC):
    """What one metric was over time."""

    @abstractmethod
    def between(self, start: float, end: float) -> list[Sample]:
        """Give the samples from a time to before another, in order."""

    @abstractmethod
    def changes_after(self, now: float, start: float, period: float) -> float | None:
        """Tell when windows that slide along have other samples than now.

        Args:
            now: Where the last window ends now.
            start: Where the first one begins.
            period: How long each is.

        Returns:
            The earliest end of the last window just after which they differ, as far as
            the samples are known now; None if that is never.
        """


class Samples(Series):
    """Values that were put, one by one."""

    def __init__(self) -> None:
        """Begin without values."""
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Add a value, at any time."""
        bisect.insort(self._samples, sample, key=_time)

    def between(self, start: float, end: float) -> list[Sample]:
        """Give the samples, as `Series` has it."""
        first = bisect.bisect_left(self._samples, start, key=_time)
        last = bisect.bisect_left(self._samples, end, key=_time)
        return self._samples[first:last]

    def changes_after(self, now: float, start: float, period: float) -> float | None:
        """Tell when a sample passes from one window to the next."""
        first = bisect.bisect_left(self._samples, start, key=_time)
        return min(
            (
                sample.time + max(math.ceil((now - sample.time) / period), 0) * period
                for sample in self._samples[first:]
            ),
            default=None,
        )


class Level(Series):
    """Something that is measured at every whole minute while there is anything to say.

    It has a value from each change to the next one, that stays or grows by the second.
    """

    def __init__(self, unit: str) -> None:
        """Begin without a value.

        Args:
            unit: The unit of its values.
        """
        self._unit = unit
        self._changes: list[_Change] = []

    def change(self, time: float, value: float | None, slope: float = 0) -> bool:
        """Have another value from now on.

        Args:
            time: Now.
            value: The value, or None to measure no more.
            slope: How much it grows in a second.

        Returns:
            Whether that is another one.
        """
        if self._changes and self._changes[-1][1:] == (value, slope):
            # Something that grows begins anew.
            if not slope:
                return False
        elif not self._changes and value is None:
            return False
        if self._changes and self._changes[-1][0] == time:
            self._changes[-1] = _Change(time, value, slope)
        else:
            self._changes.append(_Change(time, value, slope))
        return True

    def between(self, start: float, end: float) -> list[Sample]:
        """Give the samples, as `Series` has it."""
        found = []
        at = bisect.bisect_right(self._changes, start, key=_time) - 1
        minute = math.ceil(start / MINUTE) * MINUTE
        for index in range(max(at, 0), len(self._changes)):
            began, value, slope = self._changes[index]
            is_last = index + 1 == len(self._changes)
            until = end if is_last else min(self._changes[index + 1][0], end)
            minute = max(minute, math.ceil(began / MINUTE) * MINUTE)
            while minute < until and value is not None:
                grown = value + slope * (minute - began)
                found.append(Sample(minute, grown, self._unit))
                minute += MINUTE
        return found

    def changes_after(self, now: float, start: float, period: float) -> float | None:
        """Tell that it is now, after a change or while it grows."""
        if not self._changes:
            return None
        time, _, slope = self._changes[-1]
        return now if slope or time >= start else None


def _time(of: Sample | _Change) -> float:
    return of.time
