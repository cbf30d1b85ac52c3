"""Dashboards: whether a body is one that CloudWatch could show, and what it shows.

Besides the documented structure, metrics, expressions and log queries are checked as
far as local AWS knows them, so that a dashboard shows what it says.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match
from moto.cloudwatch.exceptions import DashboardInvalidInputError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from cdk_personalize_segments.local.cloudwatch import dashboard_schema
from cdk_personalize_segments.local.cloudwatch.errors import QueryError
from cdk_personalize_segments.local.cloudwatch.metrics import Metrics
from cdk_personalize_segments.local.cloudwatch.queries import Queries
from cdk_personalize_segments.local.logs_insights.language import (
    InsightsError,
    parse_query,
)
from cdk_personalize_segments.local.untyped import Json

DEFAULT_PERIOD: Final = 300
DEFAULT_STATISTIC: Final = "Average"
_LONGEST_NAME: Final = 255
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_SOURCE: Final = re.compile(r"\s*SOURCE\s+(?:'([^']+)'|\"([^\"]+)\")\s*\|")
_MOST_DIMENSIONS: Final = 30
_REPEATED: Final = "."
_REST_REPEATED: Final = "..."
_validators: Final = {
    kind: Draft7Validator(schema)
    for kind, schema in dashboard_schema.PROPERTIES.items()
}
_WIDGET: Final = Draft7Validator(dashboard_schema.WIDGET)
_BODY: Final = Draft7Validator(dashboard_schema.BODY)
_RENDERING: Final = Draft7Validator(dashboard_schema.RENDERING)


class DashboardError(ValueError):
    """A dashboard's body is wrong; the text says where."""


class DashboardsApi(CloudWatchResponse):
    """One request; moto calls the method that is named as the operation."""

    def put_dashboard(self) -> ActionResult:
        """PutDashboard, of a body that could be shown."""
        name = self._get_param("DashboardName")
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise DashboardInvalidInputError(
                f"the name {name} must have letters, digits, hyphens and underscores "
                f"only, {_LONGEST_NAME} at most"
            )
        try:
            check_body(self._get_param("DashboardBody"))
        except DashboardError as error:
            raise DashboardInvalidInputError(str(error)) from None
        return super().put_dashboard()


def check_body(text: str) -> None:
    """Check that a dashboard could be shown as it says.

    Args:
        text: The body.

    Raises:
        DashboardError: It could not.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise DashboardError(f"the body is no JSON: {error}") from None
    _check(_BODY, body, "")
    for place, widget in enumerate(body["widgets"]):
        path = f"/widgets/{place}"
        _check(_WIDGET, widget, path)
        properties = widget["properties"]
        _check(_validators[widget["type"]], properties, f"{path}/properties")
        try:
            _check_widget(widget["type"], properties)
        except (DashboardError, InsightsError, QueryError) as error:
            raise DashboardError(f"{path}/properties: {error}") from None


def _check(validator: Draft7Validator, value: Json, path: str) -> None:
    wrong = best_match(validator.iter_errors(value))
    if wrong is not None:
        inner = "".join(f"/{each}" for each in wrong.absolute_path)
        raise DashboardError(f"{path}{inner or ('' if path else '/')}: {wrong.message}")


def _check_widget(kind: str, properties: Mapping[str, Any]) -> None:
    if kind == "log":
        _, query = split_query(properties["query"])
        parse_query(query)
    if kind == "metric":
        _check_metrics(properties)


def _check_metrics(properties: Mapping[str, Any]) -> None:
    alarms = properties.get("annotations", {}).get("alarms")
    if "metrics" not in properties and not alarms:
        raise DashboardError("metrics are required where annotations have no alarm")
    axis = properties.get("yAxis", {}).get("left", {})
    if properties.get("view") == "gauge" and not {"max", "min"} <= axis.keys():
        raise DashboardError("a gauge needs min and max of the left yAxis")
    for queries in by_region(properties).values():
        asked = Queries(Metrics(_never), "", queries)
        for name in asked.returned:
            asked.period_of(name)


def _never() -> Any:  # noqa: ANN401
    raise AssertionError("nothing is measured here")


def split_query(query: str) -> tuple[list[str], str]:
    """Split a log widget's query into the log groups that it names, and the rest.

    Args:
        query: The query, which begins with `SOURCE 'GROUP' |`, once or more.

    Raises:
        DashboardError: It names no log group.
    """
    groups = []
    while match := _SOURCE.match(query):
        groups.append(match[1] or match[2])
        query = query[match.end() :]
    if not groups:
        raise DashboardError("the query must begin with SOURCE 'LOG GROUP' |")
    return groups, query.strip()


def by_region(properties: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Give the queries that GetMetricData takes for a metric widget, by Region.

    Args:
        properties: The widget's properties.

    Raises:
        DashboardError: A metric is malformed.
    """
    queries: dict[str, list[dict[str, Any]]] = {}
    for place, (path, rendering) in enumerate(_expanded(properties)):
        region = rendering.get("region", properties["region"])
        query: dict[str, Any] = {
            "Id": rendering.get("id", f"row{place}"),
            "ReturnData": rendering.get("visible", True),
        }
        if "label" in rendering:
            query["Label"] = rendering["label"]
        period = rendering.get("period", properties.get("period", DEFAULT_PERIOD))
        if path:
            query["MetricStat"] = {
                "Metric": _metric(path),
                "Period": period,
                "Stat": rendering.get(
                    "stat", properties.get("stat", DEFAULT_STATISTIC)
                ),
            }
        else:
            query |= {"Expression": rendering["expression"], "Period": period}
        queries.setdefault(region, []).append(query)
    return queries


def _expanded(
    properties: Mapping[str, Any],
) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    """Give each metric's namespace, name and dimensions, and how it is shown."""
    before: list[str] = []
    for place, row in enumerate(properties.get("metrics", ())):
        *path, last = row
        rendering: Mapping[str, Any] = {}
        if isinstance(last, dict):
            rendering = last
            _check(_RENDERING, last, f"metrics/{place}")
        else:
            path.append(last)
        if not path:
            if "expression" not in rendering:
                raise DashboardError(
                    f"metrics/{place} has neither metric nor expression"
                )
        elif "expression" in rendering:
            raise DashboardError(f"metrics/{place} has a metric and an expression")
        else:
            path = before = _filled(path, before, place)
        yield path, rendering


def _filled(path: Sequence[Json], before: Sequence[str], place: int) -> list[str]:
    """Fill in what a metric has as the one before it."""
    where = f"metrics/{place}"
    if not all(isinstance(each, str) for each in path):
        raise DashboardError(f"{where} must be texts, and an object at the end")
    if path[0] == _REST_REPEATED:
        path = [*before[: len(before) - len(path) + 1], *path[1:]]
    for index, each in enumerate(path):
        if each == _REPEATED and index >= len(before):
            raise DashboardError(f"{where} repeats what is not there before it")
    filled = [
        before[index] if each == _REPEATED else each for index, each in enumerate(path)
    ]
    if len(filled) < 2 or len(filled) % 2:
        raise DashboardError(
            f"{where} must have a namespace, a name, and names and values of dimensions"
        )
    if len(filled) > 2 + 2 * _MOST_DIMENSIONS:
        raise DashboardError(f"{where} has more than {_MOST_DIMENSIONS} dimensions")
    return filled


def _metric(path: Sequence[str]) -> dict[str, Any]:
    namespace, name, *dimensions = path
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [
            {"Name": key, "Value": value}
            for key, value in zip(dimensions[::2], dimensions[1::2], strict=True)
        ],
    }
