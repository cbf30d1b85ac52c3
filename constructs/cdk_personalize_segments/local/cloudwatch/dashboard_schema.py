"""The structure of dashboards, as a JSON schema for each part.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/
CloudWatch-Dashboard-Body-Structure.html. Widgets of other types than these, and
dashboard variables, are refused: nothing here would look at what is in them.
"""

from collections.abc import Mapping
from typing import Any, Final

from cdk_personalize_segments._service_limits import MAX_ALARMS_A_WIDGET

_COLUMNS: Final = 24
_MOST_WIDGETS: Final = 500
_SIDE: Final = {"enum": ["left", "right"]}
_COLOR: Final = {"type": "string", "pattern": "^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$"}
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
_NUMBER: Final = {"type": "number"}


def _object(
    properties: Mapping[str, Any], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _choice(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


def _list(items: Mapping[str, Any], most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


PERIOD: Final = {
    "anyOf": [
        {"enum": [1, 5, 10, 20, 30]},
        {"type": "integer", "minimum": 60, "multipleOf": 60},
    ]
}
RENDERING: Final = _object(
    {
        "accountId": _TEXT,
        "color": _COLOR,
        "expression": _TEXT,
        "id": {"type": "string", "pattern": "^[a-z][a-zA-Z0-9_]*$"},
        "label": _TEXT,
        "period": PERIOD,
        "region": _TEXT,
        "stat": _TEXT,
        "visible": _FLAG,
        "yAxis": _SIDE,
    }
)
"""What the last member of a metric may say."""
_AXIS: Final = _object(
    {"label": _TEXT, "max": _NUMBER, "min": _NUMBER, "showUnits": _FLAG}
)
_LINE: Final = {"color": _COLOR, "label": _TEXT, "visible": _FLAG}
_HORIZONTAL: Final = _object(
    {
        **_LINE,
        "fill": _choice("above", "below", "none"),
        "value": _NUMBER,
        "yAxis": _SIDE,
    },
    ("value",),
)
_BAND: Final = _list(
    _object({**_LINE, "value": _NUMBER, "yAxis": _SIDE}, ("value",)), 2, 2
)
_VERTICAL: Final = _object(
    {**_LINE, "fill": _choice("after", "before", "none"), "value": _TEXT}, ("value",)
)
_SPAN: Final = _list(_object({**_LINE, "value": _TEXT}, ("value",)), 2, 2)
_ANNOTATIONS: Final = _object(
    {
        "alarms": _list(_TEXT, 1, 1),
        "horizontal": _list({"anyOf": [_HORIZONTAL, _BAND]}, 100),
        "vertical": _list({"anyOf": [_VERTICAL, _SPAN]}, 100),
    }
)
PROPERTIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "alarm": _object(
        {
            "alarms": _list(_TEXT, MAX_ALARMS_A_WIDGET, 1),
            "sortBy": _choice("default", "stateUpdatedTimestamp", "timestamp"),
            "states": _list(_choice("ALARM", "INSUFFICIENT_DATA", "OK"), 3),
            "title": _TEXT,
        },
        ("alarms",),
    ),
    "log": _object(
        {
            "accountId": _TEXT,
            "query": _TEXT,
            "queryLanguage": _choice("CWLI"),
            "region": _TEXT,
            "stacked": _FLAG,
            "title": _TEXT,
            "view": _choice("bar", "pie", "table", "timeSeries"),
        },
        ("query", "region"),
    ),
    "metric": _object(
        {
            "accountId": _TEXT,
            "annotations": _ANNOTATIONS,
            "end": _TEXT,
            "legend": _object({"position": _choice("bottom", "hidden", "right")}),
            "liveData": _FLAG,
            "metrics": _list({"type": "array", "minItems": 1}, 500),
            "period": PERIOD,
            "region": _TEXT,
            "setPeriodToTimeRange": _FLAG,
            "singleValueFullPrecision": _FLAG,
            "sparkline": _FLAG,
            "stacked": _FLAG,
            "start": _TEXT,
            "stat": _TEXT,
            "table": _object(
                {
                    "layout": _choice("horizontal", "vertical"),
                    "showTimeSeriesData": _FLAG,
                    "stickySummary": _FLAG,
                    "summaryColumns": _list(_choice("AVG", "MAX", "MIN", "SUM"), 4),
                }
            ),
            "timezone": {"type": "string", "pattern": r"^[-+]\d{4}$"},
            "title": _TEXT,
            "trend": _FLAG,
            "view": _choice(
                "bar", "gauge", "pie", "singleValue", "table", "timeSeries"
            ),
            "yAxis": _object({"left": _AXIS, "right": _AXIS}),
        },
        ("region",),
    ),
    "text": _object(
        {"background": _choice("solid", "transparent"), "markdown": _TEXT},
        ("markdown",),
    ),
}
"""The properties of each type of widgets."""
WIDGET: Final = _object(
    {
        "height": {"type": "integer", "minimum": 1, "maximum": 1000},
        "properties": {"type": "object"},
        "type": _choice(*PROPERTIES),
        "width": {"type": "integer", "minimum": 1, "maximum": _COLUMNS},
        "x": {"type": "integer", "minimum": 0, "maximum": _COLUMNS - 1},
        "y": {"type": "integer", "minimum": 0},
    },
    ("properties", "type"),
)
"""What each widget has."""
BODY: Final = _object(
    {
        "end": _TEXT,
        "periodOverride": _choice("auto", "inherit"),
        "start": _TEXT,
        "widgets": _list({"type": "object"}, _MOST_WIDGETS),
    },
    ("widgets",),
)
"""A whole dashboard, but for what is in its widgets."""
