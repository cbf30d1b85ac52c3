"""Draws a dashboard of local AWS as CloudWatch shows it: `make dashboard`.

The body is the deployed one, and all that is drawn was asked for: metrics of
GetMetricData, rows of Logs Insights, states of alarms. It is the same every time but
for what functions take, which is real.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import dates, ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from cdk_personalize_segments.local import LocalAws
from cdk_personalize_segments.local.cloudwatch.dashboards import by_region, split_query

PICTURE: Final = Path(__file__).resolve().parent / "images" / "dashboard.png"
Json = Any

_COLUMNS: Final = 24
_COLUMN: Final = 62
_ROW: Final = 46
_GAP: Final = 5
_MARGIN: Final = 14
_DPI: Final = 100
_INK: Final = "#16191f"
_SOFT: Final = "#545b64"
_LINE: Final = "#d5dbdb"
_PAGE: Final = "#f2f3f3"
_LINK: Final = "#0073bb"
_COLOURS: Final = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#d62728",
    "#9467bd",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
)
_STATES: Final = {
    "ALARM": ("#d13212", "#fdf3f1"),
    "OK": ("#1d8102", "#f2f8f0"),
    "INSUFFICIENT_DATA": ("#687078", "#fafafa"),
}
_STYLE: Final = {
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.labelsize": 7,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "xtick.labelsize": 7,
    "ytick.color": _SOFT,
    "ytick.labelsize": 7,
}


@dataclass(frozen=True)
class Series:
    """A line of a graph, or a number.

    Attributes:
        label: What it is called.
        colour: Its colour.
        times: When there are values.
        values: The values.
    """

    label: str
    colour: str
    times: Sequence[datetime]
    values: Sequence[float]


@dataclass(frozen=True)
class Box:
    """Where something is, in pixels from the top left corner."""

    x: float
    y: float
    width: float
    height: float


class Data:
    """What there is to show of a time.

    Attributes:
        start: From when.
        end: Until when.
        missing: The titles of widgets that have nothing to show.
    """

    def __init__(self, aws: LocalAws, start: datetime, end: datetime) -> None:
        """Look at a time.

        Args:
            aws: Where.
            start: From when.
            end: Until when.
        """
        self._aws = aws
        self.start = start
        self.end = end
        self.missing: list[str] = []

    def series(self, properties: Mapping[str, Json]) -> list[Series]:
        """Give what a metric widget shows, in its order.

        Args:
            properties: The widget's properties.
        """
        seconds = (self.end - self.start).total_seconds()
        whole = bool(properties.get("setPeriodToTimeRange"))
        # As CloudWatch does with a week, unless a graph says otherwise.
        period = int(seconds) // 60 * 60 if whole else 3600
        colours = _colours(properties)
        found = []
        for region, queries in by_region(properties).items():
            asked = [_with_period(each, period) for each in queries]
            answer = self._aws.client("cloudwatch", region).get_metric_data(
                MetricDataQueries=asked,
                StartTime=self.start,
                EndTime=self.end,
                ScanBy="TimestampAscending",
            )
            found += answer["MetricDataResults"]
        if not any(each["Values"] for each in found):
            self.missing.append(properties["title"])
        return [
            Series(
                each["Label"],
                colours.get(each["Id"], _COLOURS[place % len(_COLOURS)]),
                each["Timestamps"],
                each["Values"],
            )
            for place, each in enumerate(found)
        ]

    def rows(self, properties: Mapping[str, Json]) -> list[dict[str, str]]:
        """Give what a log widget shows.

        Args:
            properties: The widget's properties.
        """
        logs = self._aws.client("logs", properties["region"])
        groups, query = split_query(properties["query"])
        asked = logs.start_query(
            logGroupNames=groups,
            queryString=query,
            startTime=int(self.start.timestamp()),
            endTime=int(self.end.timestamp()),
        )
        answer = logs.get_query_results(queryId=asked["queryId"])
        if not answer["results"]:
            self.missing.append(properties["title"])
        return [
            {cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"}
            for row in answer["results"]
        ]

    def alarms(self, properties: Mapping[str, Json]) -> list[tuple[str, str]]:
        """Give names and states of the alarms that an alarm widget shows.

        Args:
            properties: The widget's properties.
        """
        names = [arn.rpartition(":")[2] for arn in properties["alarms"]]
        found = self._aws.client("cloudwatch").describe_alarms(AlarmNames=names)
        states = {
            each["AlarmName"]: each["StateValue"] for each in found["MetricAlarms"]
        }
        return [(name, states[name]) for name in names]


def _with_period(query: dict[str, Json], period: int) -> dict[str, Json]:
    if "MetricStat" in query:
        return {**query, "MetricStat": {**query["MetricStat"], "Period": period}}
    return {**query, "Period": period}


def _colours(properties: Mapping[str, Json]) -> dict[str, str]:
    found = {}
    for place, (*_, rendering) in enumerate(properties["metrics"]):
        if isinstance(rendering, dict) and "color" in rendering:
            found[rendering.get("id", f"row{place}")] = rendering["color"]
    return found


def read(aws: LocalAws) -> tuple[Json, Data]:
    """Read the only dashboard that there is.

    Args:
        aws: Where.

    Returns:
        Its body, and the data of the time that it shows.
    """
    client = aws.client("cloudwatch")
    [entry] = client.list_dashboards()["DashboardEntries"]
    answer = client.get_dashboard(DashboardName=entry["DashboardName"])
    body = json.loads(answer["DashboardBody"])
    now = aws.clock.now()
    [days] = re.findall(r"-P(\d+)D", body["start"])
    return body, Data(aws, now - timedelta(days=int(days)), now)


def render(body: Json, data: Data, path: Path) -> None:
    """Draw a dashboard.

    Args:
        body: Its body.
        data: What it shows.
        path: The picture to write.
    """
    with mpl.rc_context(_STYLE):
        picture = _Picture(max(each["y"] + each["height"] for each in body["widgets"]))
        for widget in body["widgets"]:
            picture.draw(widget, data)
        path.parent.mkdir(exist_ok=True)
        picture.figure.savefig(path, dpi=_DPI, metadata={"Software": None})


class _Picture:
    def __init__(self, rows: int) -> None:
        self._width = _COLUMNS * _COLUMN + 2 * _MARGIN
        self._height = rows * _ROW + 2 * _MARGIN
        self.figure = Figure(
            figsize=(self._width / _DPI, self._height / _DPI),
            dpi=_DPI,
            facecolor=_PAGE,
        )
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()
        self._ground = self.figure.add_axes((0, 0, 1, 1), zorder=0)
        self._ground.set(xlim=(0, self._width), ylim=(self._height, 0))
        self._ground.axis("off")

    def draw(self, widget: Json, data: Data) -> None:
        box = Box(
            _MARGIN + widget["x"] * _COLUMN + _GAP,
            _MARGIN + widget["y"] * _ROW + _GAP,
            widget["width"] * _COLUMN - 2 * _GAP,
            widget["height"] * _ROW - 2 * _GAP,
        )
        properties = widget["properties"]
        if widget["type"] == "text":
            self._text_widget(box, properties)
            return
        self._card(box, properties["title"])
        inside = Box(box.x + 12, box.y + 34, box.width - 24, box.height - 42)
        if widget["type"] == "alarm":
            self._alarms(inside, data.alarms(properties))
        elif widget["type"] == "log":
            rows = data.rows(properties)
            if properties["view"] == "bar":
                self._bars_of_rows(inside, rows)
            else:
                self._table(inside, rows)
        elif properties["view"] == "singleValue":
            self._numbers(inside, data.series(properties))
        elif properties["view"] == "bar":
            self._bars(inside, data.series(properties))
        else:
            self._graph(inside, properties, data)

    # --- Text ---

    def _text(self, x: float, y: float, text: str, **options: Json) -> None:
        self._ground.text(x, y, text, va=options.pop("va", "center"), **options)

    def _card(self, box: Box, title: str) -> None:
        self._ground.add_patch(
            FancyBboxPatch(
                (box.x, box.y),
                box.width,
                box.height,
                boxstyle="round,pad=0,rounding_size=5",
                facecolor="white",
                edgecolor=_LINE,
                linewidth=0.8,
            )
        )
        self._text(box.x + 12, box.y + 17, title, weight="bold", size=8.5)

    def _text_widget(self, box: Box, properties: Mapping[str, Json]) -> None:
        heading, _, rest = properties["markdown"].partition("\n")
        level = len(heading) - len(heading.lstrip("#"))
        if properties.get("background") != "transparent":
            self._card(box, "")
        size = {1: 16, 2: 12.5, 3: 9}[level]
        self._text(
            box.x + 4, box.y + 22, heading.lstrip("# "), size=size, weight="bold"
        )
        at = box.x + 4
        for text, is_link in _spans(rest):
            colour = _LINK if is_link else _SOFT
            self._text(at, box.y + 58, text, size=8.5, color=colour)
            at += self._measure(text, 8.5)

    def _measure(self, text: str, size: float, **options: Json) -> float:
        """Give the width of a text in pixels."""
        artist = self._ground.text(0, 0, text, size=size, **options)
        width = artist.get_window_extent(self._renderer).width
        artist.remove()
        return float(width)

    def _clip(self, text: str, width: float, size: float) -> str:
        if self._measure(text, size) <= width:
            return text
        while text and self._measure(f"{text}…", size) > width:
            text = text[:-1]
        return f"{text}…"

    # --- Alarms, numbers and tables ---

    def _alarms(self, box: Box, alarms: Sequence[tuple[str, str]]) -> None:
        columns = 2 if box.width < 800 else 5
        rows = -(-len(alarms) // columns)
        width, height = box.width / columns, box.height / rows
        order = list(_STATES)
        for place, (name, state) in enumerate(
            sorted(alarms, key=lambda each: order.index(each[1]))
        ):
            x = box.x + place % columns * width
            y = box.y + place // columns * height
            ink, paper = _STATES[state]
            self._ground.add_patch(
                Rectangle(
                    (x + 2, y + 2),
                    width - 4,
                    height - 4,
                    facecolor=paper,
                    edgecolor=ink,
                    linewidth=1.6 if state == "ALARM" else 0.8,
                )
            )
            text = self._clip(name, width - 16, 7)
            self._text(x + 9, y + height / 2 - 7, text, size=7)
            said = state.replace("_", " ").capitalize() if "_" in state else state
            self._text(
                x + 9, y + height / 2 + 8, said, size=6.5, color=ink, weight="bold"
            )

    def _numbers(self, box: Box, numbers: Sequence[Series]) -> None:
        width = box.width / len(numbers)
        for place, each in enumerate(numbers):
            x = box.x + place * width
            value = f"{each.values[-1]:,.0f}" if each.values else "--"
            self._text(x + 2, box.y + box.height * 0.4, value, size=19)
            self._ground.add_patch(
                Rectangle(
                    (x + 2, box.y + box.height * 0.74 - 4), 8, 8, color=each.colour
                )
            )
            self._text(
                x + 15, box.y + box.height * 0.74, each.label, size=8, color=_SOFT
            )

    def _table(self, box: Box, rows: Sequence[Mapping[str, str]]) -> None:
        if not rows:
            self._text(
                box.x + box.width / 2,
                box.y + box.height / 2,
                "No data",
                ha="center",
                color=_SOFT,
            )
            return
        names = list(dict.fromkeys(name for row in rows for name in row))
        texts = [[_cell(row.get(name, "")) for name in names] for row in rows]
        wanted = [
            max(self._measure(row[place], 7.5) for row in [names, *texts]) + 16
            for place in range(len(names))
        ]
        share = (box.width - 24) / sum(wanted)
        widths = [each * (share if share < 1 else min(share, 1.6)) for each in wanted]
        line = 21
        self._ground.add_patch(
            Rectangle((box.x, box.y), box.width, line, facecolor="#fafafa")
        )
        fitting = int((box.height - line) // line)
        for number, row in enumerate(
            [["#", *names], *self._numbered(texts)][: fitting + 1]
        ):
            y = box.y + number * line
            at = box.x + 4
            for text, width in zip(row, [24, *widths], strict=True):
                self._text(
                    at,
                    y + line / 2,
                    self._clip(text, width - 8, 7.5),
                    size=7.5,
                    weight="bold" if number == 0 else "normal",
                    color=_SOFT if number == 0 or at == box.x + 4 else _INK,
                )
                at += width
            self._ground.plot(
                (box.x, box.x + box.width), (y + line, y + line), color=_LINE, lw=0.6
            )

    @staticmethod
    def _numbered(texts: Sequence[Sequence[str]]) -> list[list[str]]:
        return [[str(place), *row] for place, row in enumerate(texts, 1)]

    # --- Charts ---

    def _axes(self, box: Box, *, left: float, bottom: float) -> Axes:
        axes = self.figure.add_axes(
            (
                (box.x + left) / self._width,
                1 - (box.y + box.height - bottom) / self._height,
                (box.width - left - 4) / self._width,
                (box.height - bottom - 2) / self._height,
            ),
            zorder=1,
        )
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0)
        return axes

    def _graph(self, box: Box, properties: Mapping[str, Json], data: Data) -> None:
        series = data.series(properties)
        left = properties["yAxis"]["left"]
        axes = self._axes(box, left=42, bottom=44)
        axes.grid(axis="y", color="#eaeded", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_ylabel(left["label"], labelpad=2)
        axes.set_xlim(data.start, data.end)  # type: ignore[arg-type]
        if properties.get("stacked"):
            _stack(axes, series)
        else:
            for each in series:
                axes.plot(
                    each.times,  # type: ignore[arg-type]
                    each.values,
                    color=each.colour,
                    linewidth=1.4,
                    marker="o",
                    markersize=2.6 if len(each.values) < 60 else 0,
                )
        for line in properties.get("annotations", {}).get("horizontal", []):
            axes.axhline(
                line["value"], color=line["color"], linewidth=1, linestyle="--"
            )
            axes.annotate(
                line["label"],
                (data.start, line["value"]),  # type: ignore[arg-type]
                xytext=(4, 3),
                textcoords="offset points",
                size=7,
                color=line["color"],
            )
        axes.set_ylim(bottom=left["min"])
        if not any(any(each.values) for each in series):
            axes.set_ylim(top=1)
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5, min_n_ticks=3))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(_amount))
        axes.xaxis.set_major_locator(
            dates.DayLocator(interval=1 if box.width > 450 else 2)
        )
        axes.xaxis.set_major_formatter(dates.DateFormatter("%m/%d"))
        self._legend(box, series)

    def _legend(self, box: Box, series: Sequence[Series]) -> None:
        at, y = box.x + 4, box.y + box.height - 8
        for each in series:
            width = self._measure(each.label, 7.5)
            self._ground.add_patch(Rectangle((at, y - 4), 8, 8, color=each.colour))
            self._text(at + 12, y, each.label, size=7.5, color=_SOFT)
            at += width + 26

    def _bars(self, box: Box, series: Sequence[Series]) -> None:
        bars = [(each.label, sum(each.values), each.colour) for each in series]
        self._horizontal(box, bars)

    def _bars_of_rows(self, box: Box, rows: Sequence[Mapping[str, str]]) -> None:
        bars = []
        for row in rows:
            place, value = sorted(row.values(), key=len, reverse=True)
            day = _cell(place)[5:10].replace("-", "/")
            bars.append((day, float(value), _COLOURS[0]))
        self._horizontal(box, sorted(bars))

    def _horizontal(self, box: Box, bars: Sequence[tuple[str, float, str]]) -> None:
        labels = [label for label, *_ in bars]
        left = max((self._measure(each, 7.5) for each in labels), default=0) + 10
        axes = self._axes(box, left=left, bottom=18)
        axes.grid(axis="x", color="#eaeded", linewidth=0.8)
        axes.set_axisbelow(True)
        places = range(len(bars))
        axes.barh(
            list(places),
            [value for _, value, _ in bars],
            color=[colour for *_, colour in bars],
            height=0.62,
        )
        for place, (_, value, _) in zip(places, bars, strict=True):
            axes.annotate(
                _amount(value),
                (value, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                size=7.5,
            )
        axes.set_yticks(list(places), labels, size=7.5)
        axes.set_ylim(max(len(bars), 3) - 0.4, -0.6)
        axes.set_xlim(0, max([value for _, value, _ in bars], default=1) * 1.16)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(_amount))


def _stack(axes: Axes, series: Sequence[Series]) -> None:
    times = sorted({time for each in series for time in each.times})
    if not times:
        return
    layers = [dict(zip(each.times, each.values, strict=True)) for each in series]
    axes.stackplot(
        times,  # type: ignore[arg-type]
        [[layer.get(time, 0.0) for time in times] for layer in layers],
        colors=[each.colour for each in series],
        alpha=0.85,
        linewidth=0,
    )


def _amount(value: float, _: object = None) -> str:
    for size, sign in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):,.3g}{sign}"
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _cell(text: str) -> str:
    """Shorten what has many digits, as the console does."""
    if re.fullmatch(r"-?\d+\.\d+", text):
        return f"{float(text):,.4g}"
    return text.removesuffix(".000")


def _spans(markdown: str) -> Iterator[tuple[str, bool]]:
    """Give the texts of a line of Markdown, and which of them are links."""
    for plain, link in re.findall(r"([^\[]+)|\[([^\]]*)\]\([^)]*\)", markdown):
        yield (link, True) if link else (plain.replace("`", ""), False)


def main(path: Path = PICTURE) -> int:
    """Play the story, and draw its dashboard.

    Args:
        path: The picture to write.

    Returns:
        0, or 1 if a widget has nothing to show.
    """
    import dashboard_story

    with dashboard_story.played() as aws:
        body, data = read(aws)
        render(body, data, path)
    for title in data.missing:
        print(f"Nothing to show: {title}", file=sys.stderr)
    return 1 if data.missing else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
