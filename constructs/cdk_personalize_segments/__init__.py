"""AWS CDK constructs for Amazon Personalize batch segment jobs."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdk_personalize_segments.alarms import AlarmSeverity
    from cdk_personalize_segments.dashboard import BatchSegmentDashboard
    from cdk_personalize_segments.notices import RunEvent
    from cdk_personalize_segments.pipeline import (
        BatchSegmentPipeline,
        ImportedBatchSegmentPipeline,
    )
    from cdk_personalize_segments.schedules import OnOverlap
    from cdk_personalize_segments.solution_version import SolutionVersion

__all__ = [
    "AlarmSeverity",
    "BatchSegmentDashboard",
    "BatchSegmentPipeline",
    "ImportedBatchSegmentPipeline",
    "OnOverlap",
    "RunEvent",
    "SolutionVersion",
]

_HOME = {
    "AlarmSeverity": "alarms",
    "BatchSegmentDashboard": "dashboard",
    "BatchSegmentPipeline": "pipeline",
    "ImportedBatchSegmentPipeline": "pipeline",
    "OnOverlap": "schedules",
    "RunEvent": "notices",
    "SolutionVersion": "solution_version",
}


def __getattr__(name: str) -> object:
    """Import a construct when it is first used.

    The CDK takes seconds to import and starts Node: the command line and the local
    AWS, which live beneath this package, do without it.
    """
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
