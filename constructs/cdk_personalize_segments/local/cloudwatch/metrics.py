"""The metrics of an account: which there are, and who wants to know of new values."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cdk_personalize_segments.local.cloudwatch.series import (
    MINUTE,
    Level,
    Sample,
    Samples,
    Series,
)

if TYPE_CHECKING:
    from cdk_personalize_segments.local.cloudwatch.embedded import Refusal

UNITS: Final = (
    *("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None"),
    *(
        f"{size}{of}{rate}"
        for rate in ("", "/Second")
        for size, of in (
            *(("", "Bytes"), ("Kilo", "bytes"), ("Mega", "bytes"), ("Giga", "bytes")),
            *(("Tera", "bytes"), ("", "Bits"), ("Kilo", "bits"), ("Mega", "bits")),
            *(("Giga", "bits"), ("Tera", "bits")),
        )
    ),
    "Count/Second",
)
"""The units of values."""
LONGEST_PAST_DAYS: Final = 14
LONGEST_FUTURE_HOURS: Final = 2
"""How far from now the time of a value may be, as PutMetricData has it."""


@dataclass(frozen=True)
class Metric:
    """What is measured.

    Attributes:
        region: Where.
        namespace: Whose metrics it is among.
        name: Its name.
        dimensions: Names and values of its dimensions, in the order of the names.
    """

    region: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls, region: str, namespace: str, name: str, dimensions: Mapping[str, str]
    ) -> "Metric":
        """Name a metric.

        Args:
            region: Where.
            namespace: Whose metrics it is among.
            name: Its name.
            dimensions: Its dimensions.
        """
        return cls(region, namespace, name, tuple(sorted(dimensions.items())))


class Metrics:
    """Everything that is measured in an account.

    Attributes:
        refused: Documents in the embedded metric format that CloudWatch would have
            dropped, oldest first.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Begin without metrics.

        Args:
            now: Tells the time.
        """
        self._now = now
        self._series: dict[Metric, Series] = {}
        self._listeners: list[Callable[[Metric, float], None]] = []
        self._lock = threading.Lock()
        self.refused: list[Refusal] = []

    def now(self) -> float:
        """Tell the time, in seconds since 1970."""
        return self._now().timestamp()

    def put(
        self,
        metric: Metric,
        value: float,
        unit: str = "None",
        *,
        at: float | None = None,
        weight: float = 1,
        to_the_second: bool = False,
    ) -> None:
        """Put a value.

        Args:
            metric: What it is of.
            value: The value.
            unit: Its unit.
            at: When; now if None.
            weight: How many such values.
            to_the_second: Whether its resolution is high; else it is of its minute.
        """
        at = self.now() if at is None else at
        resolution = 1 if to_the_second else MINUTE
        time = math.floor(at / resolution) * resolution
        with self._lock:
            series = self._series.setdefault(metric, Samples())
            if not isinstance(series, Samples):
                raise ValueError(f"values of {metric} are AWS's own")
            series.add(Sample(time, value, unit, weight))
        self.tell(metric, time)

    def level(self, metric: Metric, unit: str) -> Level:
        """Give the level that a metric is.

        Args:
            metric: The metric.
            unit: The unit of its values.
        """
        with self._lock:
            level = self._series.setdefault(metric, Level(unit))
        if not isinstance(level, Level):
            raise ValueError(f"{metric} has values already")
        return level

    def listen(self, listener: Callable[[Metric, float], None]) -> None:
        """Have something told of new values.

        Args:
            listener: What is told of the metric and the time of a value. It must not
                block.
        """
        self._listeners.append(listener)

    def tell(self, metric: Metric, time: float) -> None:
        """Tell that there is a new value.

        Args:
            metric: The metric.
            time: The value's time.
        """
        for listener in self._listeners:
            listener(metric, time)

    def series(self, metric: Metric) -> Series:
        """Give what is known of a metric; nothing of one that was never measured."""
        with self._lock:
            return self._series.get(metric) or Samples()

    def all(self) -> Iterator[tuple[Metric, Series]]:
        """Give all metrics, in the order in which they came to be."""
        with self._lock:
            found = list(self._series.items())
        yield from found
