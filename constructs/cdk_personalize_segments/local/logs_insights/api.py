"""The API of Logs Insights: queries run at once, over what there is.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/
API_StartQuery.html.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moto.logs.exceptions import (
    InvalidParameterException,
    LogsClientError,
    ResourceNotFoundException,
)
from moto.logs.responses import LogsResponse

from cdk_personalize_segments._service_limits import MAX_LOG_GROUPS_A_QUERY
from cdk_personalize_segments.local.logs_insights.language import (
    MOST_RESULTS,
    InsightsError,
    parse_query,
)
from cdk_personalize_segments.local.logs_insights.running import (
    QueryRunError,
    Row,
    run,
)
from cdk_personalize_segments.local.logs_insights.values import (
    Time,
    discovered,
    text,
)
from cdk_personalize_segments.local.untyped import Json, Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

START_QUERY: Final = frozenset(
    {
        "endTime",
        "limit",
        "logGroupIdentifiers",
        "logGroupName",
        "logGroupNames",
        "queryLanguage",
        "queryString",
        "startTime",
    }
)
LANGUAGE: Final = "CWLI"
# Times above it can only be milliseconds, which are taken too.
_LATEST_SECONDS: Final = 100_000_000_000


@dataclass(frozen=True)
class Answer:
    """What came of a query.

    Attributes:
        results: The rows, each with its fields.
        statistics: How much was looked at.
    """

    results: list[list[dict[str, str]]]
    statistics: Mapping[str, float]


class MalformedQueryError(LogsClientError):
    """The query is malformed, or has what local AWS does not have."""

    def __init__(self, message: str) -> None:
        """Tell what is wrong.

        Args:
            message: What is wrong.
        """
        super().__init__("MalformedQueryException", message)


def check_query(query: str, language: str | None) -> None:
    """Check that a query could run.

    Args:
        query: The query.
        language: Its language, or None for the default one.

    Raises:
        MalformedQueryError: It could not.
    """
    if language not in (None, LANGUAGE):
        raise MalformedQueryError(
            f"local AWS runs queries in {LANGUAGE}, not in {language}"
        )
    try:
        parse_query(query)
    except InsightsError as error:
        raise MalformedQueryError(str(error)) from None


class LogsInsightsApi(LogsResponse):
    """One request; moto calls the method that is named as the operation."""

    local_aws: "LocalAws"
    answers: dict[str, Answer]

    def start_query(self) -> str:
        """StartQuery, which has its results at once."""
        given = json.loads(self.body)
        others = sorted(set(given) - START_QUERY)
        if others:
            raise InvalidParameterException(
                msg=f"local AWS does not honour {', '.join(others)} of StartQuery"
            )
        check_query(given["queryString"], given.get("queryLanguage"))
        groups = self._groups(given)
        start, end = _milliseconds(given["startTime"]), _milliseconds(given["endTime"])
        if start > end:
            raise InvalidParameterException(msg="startTime must not be after endTime")
        # Both seconds belong to it.
        events = [
            event for group in groups for event in _events(group, start, end + 999)
        ]
        most = given.get("limit", MOST_RESULTS)
        try:
            answer = _answer(given["queryString"], events, most)
        except QueryRunError as error:
            raise MalformedQueryError(str(error)) from None
        query_id = self.local_aws.new_id("log queries")
        self.answers[query_id] = answer
        return json.dumps({"queryId": query_id})

    def get_query_results(self) -> str:
        """GetQueryResults."""
        answer = self.answers.get(self._get_param("queryId"))
        if answer is None:
            raise ResourceNotFoundException("The specified query does not exist.")
        return json.dumps(
            {
                "queryLanguage": LANGUAGE,
                "results": answer.results,
                "statistics": answer.statistics,
                "status": "Complete",
            }
        )

    def _groups(self, given: Json) -> list[Moto]:
        named = [
            *(given.get("logGroupNames") or []),
            *([given["logGroupName"]] if given.get("logGroupName") else []),
            *(
                each.partition(":log-group:")[2] or each
                for each in given.get("logGroupIdentifiers") or []
            ),
        ]
        if not 1 <= len(named) <= MAX_LOG_GROUPS_A_QUERY:
            raise InvalidParameterException(
                msg=f"a query must name 1 to {MAX_LOG_GROUPS_A_QUERY} log groups"
            )
        found = [self.logs_backend.groups.get(name) for name in named]
        if None in found:
            raise ResourceNotFoundException
        if any(getattr(each, "log_group_class", "") == "DELIVERY" for each in found):
            raise InvalidParameterException(
                msg="log groups of the class DELIVERY cannot be queried"
            )
        return found


def _milliseconds(time: int) -> int:
    return time if time > _LATEST_SECONDS else time * 1000


def _events(group: Moto, start: int, end: int) -> Iterator[Row]:
    """Give the events of a log group, with the fields that are found in them."""
    for stream in list(group.streams.values()):
        for event in list(stream.events):
            if start <= event.timestamp <= end:
                yield {
                    **discovered(
                        event.message, embedded=group.name.startswith("/aws/lambda/")
                    ),
                    "@timestamp": Time(event.timestamp),
                    "@ingestionTime": Time(event.ingestion_time),
                    "@message": event.message,
                    "@logStream": stream.log_stream_name,
                    "@log": f"{group.account_id}:{group.name}",
                    "@ptr": str(event.event_id),
                }


def _answer(query: str, events: list[Row], most: int) -> Answer:
    done = run(parse_query(query), events, most)
    columns = done.columns if done.summed_up else [*done.columns, "@ptr"]
    scanned = sum(len(str(event["@message"]).encode()) for event in events)
    return Answer(
        [list(_cells(row, dict.fromkeys(columns))) for row in done.rows],
        {
            "recordsMatched": float(done.matched),
            "recordsScanned": float(len(events)),
            "bytesScanned": float(scanned),
        },
    )


def _cells(row: Row, columns: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for name in columns:
        written = text(row.get(name))
        if written is not None:
            yield {"field": name, "value": written}
