"""What moto's CloudWatch Logs lacks: settings of log groups, and saved queries.

moto forgets a log group's class and protection, cannot change its key, has no query
definitions, puts a metric filter a second time instead of changing it, and takes most
filter patterns for those that everything matches.
"""

import json
from typing import TYPE_CHECKING, Any, Final

from moto.logs import models, urls
from moto.logs.exceptions import (
    InvalidParameterException,
    ResourceNotFoundException,
    ValidationException,
)
from moto.logs.metric_filters import MetricFilters
from moto.logs.models import logs_backends
from moto.logs.responses import LogsResponse

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.cloudwatch import embedded
from cdk_personalize_segments.local.log_patterns import PatternError, read_pattern
from cdk_personalize_segments.local.logs_insights.api import (
    Answer,
    LogsInsightsApi,
    check_query,
)
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_CLASSES: Final = ("STANDARD", "INFREQUENT_ACCESS", "DELIVERY")
# Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/
# API_PutRetentionPolicy.html.
_RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
_QUERY_DEFINITION: Final = (
    "logGroupNames",
    "name",
    "parameters",
    "queryLanguage",
    "queryString",
)


def install(aws: "LocalAws") -> None:
    """Answer what moto does not.

    Args:
        aws: The local AWS.
    """

    class Api(LogSettingsApi, LogsInsightsApi):
        """The API of this account."""

        local_aws = aws
        answers: dict[str, Answer] = {}  # noqa: RUF012
        query_definitions: dict[str, dict[str, dict[str, Any]]] = {}  # noqa: RUF012

    add = MetricFilters.add_filter

    def add_filter(
        filters: Moto, name: str, pattern: str, group: str, transformations: Moto
    ) -> None:
        filters.delete_filter(name, group)
        add(filters, name, pattern, group, transformations)
        filters.metric_filters[-1]["creationTime"] = round(
            aws.clock.now().timestamp() * 1000
        )

    patching.patch(urls, "url_paths", {"{0}/$": Api.dispatch})
    patching.patch(models, "EventMessageFilter", PatternFilter)
    patching.patch(MetricFilters, "add_filter", add_filter)


class PatternFilter:
    """What moto asks whether a line matches a pattern."""

    def __init__(self, pattern: str | None) -> None:
        """Read the pattern; None, which all lines match, counts as the empty one."""
        self.matches = read_pattern(pattern or "")


class LogSettingsApi(LogsResponse):
    """One request; moto calls the method that is named as the operation."""

    local_aws: "LocalAws"
    query_definitions: dict[str, dict[str, dict[str, Any]]]

    # --- Log groups ---

    def create_log_group(self) -> str:
        """CreateLogGroup."""
        kind = self._get_param("logGroupClass", "STANDARD")
        if kind not in _CLASSES:
            raise ValidationException(
                f"1 validation error detected: Value '{kind}' at 'logGroupClass' "
                "failed to satisfy constraint: Member must satisfy enum value set: "
                f"[{', '.join(_CLASSES)}]"
            )
        answer = super().create_log_group()
        group = self._group(self._get_param("logGroupName"))
        group.log_group_class = kind
        group.deletion_protected = self._get_bool_param(
            "deletionProtectionEnabled", False
        )
        return str(answer)

    def describe_log_groups(self) -> str:
        """DescribeLogGroups."""
        answer = json.loads(super().describe_log_groups())
        filters = self.logs_backend.filters.metric_filters
        for described in answer["logGroups"]:
            name = described["logGroupName"]
            group = self._group(name)
            described["logGroupClass"] = getattr(group, "log_group_class", "STANDARD")
            described["deletionProtectionEnabled"] = _is_protected(group)
            described["metricFilterCount"] = sum(
                each["logGroupName"] == name for each in filters
            )
        return json.dumps(answer)

    def delete_log_group(self) -> str:
        """DeleteLogGroup, which leaves a protected one alone.

        The text of that refusal is our own: AWS's is not documented.
        """
        name = self._get_param("logGroupName")
        if _is_protected(self.logs_backend.groups.get(name)):
            raise ValidationException(
                f"The log group {name} has deletion protection enabled; disable it "
                "before deleting the log group."
            )
        answer = super().delete_log_group()
        for each in list(self.logs_backend.filters.metric_filters):
            if each["logGroupName"] == name:
                self.logs_backend.delete_metric_filter(each["filterName"], name)
        return str(answer)

    def put_retention_policy(self) -> str:
        """PutRetentionPolicy, for as many days as AWS offers."""
        days = self._get_param("retentionInDays")
        if days not in _RETENTION_DAYS:
            raise ValidationException(
                f"1 validation error detected: Value '{days}' at 'retentionInDays' "
                "failed to satisfy constraint: Member must satisfy enum value set: "
                f"[{', '.join(map(str, _RETENTION_DAYS))}]"
            )
        return str(super().put_retention_policy())

    def put_log_group_deletion_protection(self) -> str:
        """PutLogGroupDeletionProtection."""
        group = self._group(self._get_param("logGroupIdentifier"))
        group.deletion_protected = self._get_bool_param("deletionProtectionEnabled")
        return "{}"

    def associate_kms_key(self) -> str:
        """AssociateKmsKey."""
        self._group_with_key().kms_key_id = self._get_param("kmsKeyId")
        return "{}"

    def disassociate_kms_key(self) -> str:
        """DisassociateKmsKey."""
        self._group_with_key().kms_key_id = None
        return "{}"

    def _group_with_key(self) -> Moto:
        if self._get_param("resourceIdentifier"):
            raise ValidationException(
                "local AWS honours keys of log groups only: pass logGroupName"
            )
        return self._group(self._get_param("logGroupName"))

    def _group(self, name_or_arn: str) -> Moto:
        name = name_or_arn.partition(":log-group:")[2] or name_or_arn
        backend = logs_backends[self.current_account][self.region]
        group = backend.groups.get(name.removesuffix(":*"))
        if group is None:
            raise ResourceNotFoundException
        return group

    # --- Events ---

    def put_log_events(self) -> str:
        """PutLogEvents, with the metrics in what is put."""
        answer = super().put_log_events()
        group = self._get_param("logGroupName")
        for event in self._get_param("logEvents"):
            embedded.extract(
                self.local_aws.metrics, self.region, group, event["message"]
            )
        return str(answer)

    # --- Filters ---

    def filter_log_events(self) -> str:
        """FilterLogEvents."""
        self._check_pattern()
        return str(super().filter_log_events())

    def put_metric_filter(self) -> str:
        """PutMetricFilter, for a group that exists."""
        self._check_pattern()
        self._group(self._get_param("logGroupName"))
        return str(super().put_metric_filter())

    def _check_pattern(self) -> None:
        try:
            read_pattern(self._get_param("filterPattern", ""))
        except PatternError as error:
            raise InvalidParameterException(msg=str(error)) from None

    # --- Query definitions ---

    def put_query_definition(self) -> str:
        """PutQueryDefinition, which keeps nothing of the one before.

        Queries that local AWS could not run are refused, each parameter taken for its
        default value; whether AWS refuses malformed ones is not documented.
        """
        definitions = self._query_definitions
        definition_id = self._get_param("queryDefinitionId")
        if definition_id is None:
            definition_id = self.local_aws.new_id("query definitions")
        elif definition_id not in definitions:
            raise _no_query_definition()
        now = self.local_aws.clock.now()
        given = {name: self._get_param(name) for name in _QUERY_DEFINITION}
        query = given["queryString"]
        for parameter in given["parameters"] or ():
            value = parameter.get("defaultValue") or "0"
            query = query.replace("{{" + parameter["name"] + "}}", value)
        check_query(query, given["queryLanguage"])
        definitions[definition_id] = {
            "queryDefinitionId": definition_id,
            "lastModified": round(now.timestamp() * 1000),
            "queryLanguage": "CWLI",
            **{name: value for name, value in given.items() if value is not None},
        }
        return json.dumps({"queryDefinitionId": definition_id})

    def describe_query_definitions(self) -> str:
        """DescribeQueryDefinitions, all in one page."""
        prefix = self._get_param("queryDefinitionNamePrefix", "")
        language = self._get_param("queryLanguage")
        found = [
            definition
            for definition in self._query_definitions.values()
            if definition["name"].startswith(prefix)
            and language in (None, definition["queryLanguage"])
        ]
        return json.dumps({"queryDefinitions": found})

    def delete_query_definition(self) -> str:
        """DeleteQueryDefinition."""
        definition_id = self._get_param("queryDefinitionId")
        if self._query_definitions.pop(definition_id, None) is None:
            raise _no_query_definition()
        return json.dumps({"success": True})

    @property
    def _query_definitions(self) -> dict[str, dict[str, Any]]:
        return self.query_definitions.setdefault(self.region, {})


def _is_protected(group: Moto) -> bool:
    return bool(getattr(group, "deletion_protected", False))


def _no_query_definition() -> ResourceNotFoundException:
    return ResourceNotFoundException("The specified query definition does not exist.")
