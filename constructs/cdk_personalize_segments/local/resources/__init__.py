"""The kinds of resources that local AWS makes, and what of each it honours.

A type that is not here fails a deployment by its name, and so does a property that is
not in the type's `honoured`.
"""

from collections.abc import Mapping
from typing import Final

from cdk_personalize_segments.local.resources import (
    buckets,
    custom,
    events,
    filters,
    glue,
    keys,
    lambda_functions,
    logs,
    messaging,
    monitoring,
    roles,
    services,
    state_machines,
)
from cdk_personalize_segments.local.resources.base import ResourceType
from cdk_personalize_segments.local.templates import Declaration

TYPES: Final[Mapping[str, ResourceType]] = {
    kind.type: kind
    for kind in (
        buckets.Bucket(),
        buckets.BucketPolicy(),
        custom.CustomResource(custom.TYPE),
        events.EventBus(),
        events.Rule(),
        events.Schedule(),
        events.ScheduleGroup(),
        filters.Filter(),
        glue.Database(),
        glue.Table(),
        keys.Alias(),
        keys.Key(),
        lambda_functions.Alias(),
        lambda_functions.Function(),
        lambda_functions.Permission(),
        lambda_functions.Version(),
        logs.LogGroup(),
        logs.MetricFilter(),
        logs.QueryDefinition(),
        monitoring.Alarm(),
        monitoring.CompositeAlarm(),
        monitoring.Dashboard(),
        messaging.EventSourceMapping(),
        messaging.Queue(),
        messaging.QueuePolicy(),
        messaging.Subscription(),
        messaging.Topic(),
        messaging.TopicPolicy(),
        roles.ManagedPolicy(),
        roles.Policy(),
        roles.Role(),
        services.Metadata(),
        services.Parameter(),
        services.Repository(),
        services.WaitConditionHandle(),
        state_machines.StateMachine(),
    )
}

HONOURED: Final[Mapping[str, frozenset[str]]] = {
    name: kind.honoured for name, kind in TYPES.items()
}
"""Resource type to the properties that take effect, as dotted paths."""


def find_kind(declaration: Declaration) -> ResourceType | None:
    """Give what makes a resource, or None if its type is not honoured.

    Args:
        declaration: The resource.
    """
    if declaration.type == custom.TYPE or declaration.type.startswith(custom.PREFIX):
        return custom.CustomResource(declaration.type, declaration.logical_id)
    return TYPES.get(declaration.type)


def kind_of(declaration: Declaration) -> ResourceType:
    """Give what makes a resource of a type that is honoured.

    Args:
        declaration: The resource.
    """
    kind = find_kind(declaration)
    if kind is None:
        raise KeyError(declaration.type)
    return kind
