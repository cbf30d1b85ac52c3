"""Labels of time series, also those that tell something of them.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
graph-dynamic-labels.html. How CloudWatch labels what SEARCH finds is not documented:
here it is by what tells the metrics apart, else by the metric's name.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metric_math import Line

_DYNAMIC: Final = re.compile(r"\$\{([^}]*)\}")
_PROPERTY: Final = re.compile(r"PROP\('([^']+)'\)")
_VALUES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "AVG": lambda values: sum(values) / len(values),
    "DATAPOINT_COUNT": len,
    "FIRST": lambda values: values[0],
    "LAST": lambda values: values[-1],
    "MAX": max,
    "MIN": min,
    "SUM": sum,
}
_DIMENSION: Final = "Dim."


class LabelError(QueryError):
    """A label tells what local AWS does not know."""


def label(given: str | None, line: Line, default: str) -> str:
    """Write a time series' label.

    Args:
        given: What it is to be, or None.
        line: The time series, with the label that it has of itself.
        default: What it is called otherwise.

    Raises:
        LabelError: It cannot be told.
    """
    own = line.label or default
    if given is None:
        return own
    return _DYNAMIC.sub(lambda match: _told(match[1], line, own), given)


def _told(name: str, line: Line, own: str) -> str:
    if name == "LABEL":
        return own
    if name in _VALUES:
        values = list(line.values.values())
        return f"{_VALUES[name](values):g}" if values else "--"
    asked = _PROPERTY.fullmatch(name)
    found = None if asked is None or line.metric is None else _property(asked[1], line)
    if found is None:
        raise LabelError(
            f"local AWS does not have ${{{name}}} in labels; it has ${{LABEL}}, "
            "${PROP('MetricName')}, ${PROP('Namespace')}, ${PROP('Dim.NAME')} of "
            f"metrics, and {', '.join(_VALUES)}"
        )
    return found


def _property(name: str, line: Line) -> str | None:
    if line.metric is None:
        return None
    if name.startswith(_DIMENSION):
        return dict(line.metric.dimensions).get(name.removeprefix(_DIMENSION), "")
    plain = {"MetricName": line.metric.name, "Namespace": line.metric.namespace}
    return plain.get(name)


def told_apart(lines: Sequence[Line]) -> list[Line]:
    """Label time series of different metrics so that they can be told apart.

    Args:
        lines: The time series.
    """
    metrics = [line.metric for line in lines if line.metric is not None]
    names = {metric.name for metric in metrics}
    values: dict[str, set[str]] = {}
    for metric in metrics:
        for name, value in metric.dimensions:
            values.setdefault(name, set()).add(value)
    made = []
    for line in lines:
        told: list[str] = []
        if line.metric is not None:
            told = [line.metric.name] if len(names) > 1 else []
            told += [v for name, v in line.metric.dimensions if len(values[name]) > 1]
        own = " ".join(told) or (line.metric.name if line.metric else "")
        made.append(replace(line, label=own))
    return made
