"""The kinds of resources that local AWS makes, and what of each it honours.

A type that is not here fails a deployment by its name, and so does a property that is
not in the type's `honoured`.
"""

from collections.abc import Mapping
from typing import Final

from cdk_personalize_segments.local.resources import (
    buckets,
    events,
    glue,
    lambda_functions,
    messaging,
    roles,
    services,
    state_machines,
)
from cdk_personalize_segments.local.resources.base import ResourceType

TYPES: Final[Mapping[str, ResourceType]] = {
    kind.type: kind
    for kind in (
        buckets.Bucket(),
        buckets.BucketPolicy(),
        events.EventBus(),
        events.Rule(),
        events.Schedule(),
        events.ScheduleGroup(),
        glue.Database(),
        glue.Table(),
        lambda_functions.Function(),
        lambda_functions.Permission(),
        lambda_functions.Version(),
        messaging.EventSourceMapping(),
        messaging.Queue(),
        messaging.QueuePolicy(),
        messaging.Subscription(),
        messaging.Topic(),
        messaging.TopicPolicy(),
        roles.ManagedPolicy(),
        roles.Policy(),
        roles.Role(),
        services.Key(),
        services.LogGroup(),
        services.Metadata(),
        services.Parameter(),
        services.Repository(),
        state_machines.StateMachine(),
    )
}

HONOURED: Final[Mapping[str, frozenset[str]]] = {
    name: kind.honoured for name, kind in TYPES.items()
}
"""Resource type to the properties that take effect, as dotted paths."""
