"""The modules that the Lambda tasks share with synth, command line and local AWS.

In a wheel the tasks' package lies beneath this one, where its sources are the
Lambda asset; in a checkout it is importable by its own name.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_tasks import (
        arns,
        consoles,
        dealing,
        execution_input,
        expressions,
        failures,
        limits,
        lines,
        locations,
        metrics,
        queries,
        query_files,
        run_events,
        usage,
    )
else:
    try:
        from cdk_personalize_segments._lambda.segment_tasks import (
            arns,
            consoles,
            dealing,
            execution_input,
            expressions,
            failures,
            limits,
            lines,
            locations,
            metrics,
            queries,
            query_files,
            run_events,
            usage,
        )
    except ModuleNotFoundError:
        from segment_tasks import (
            arns,
            consoles,
            dealing,
            execution_input,
            expressions,
            failures,
            limits,
            lines,
            locations,
            metrics,
            queries,
            query_files,
            run_events,
            usage,
        )

__all__ = [
    "arns",
    "consoles",
    "dealing",
    "execution_input",
    "expressions",
    "failures",
    "limits",
    "lines",
    "locations",
    "metrics",
    "queries",
    "query_files",
    "run_events",
    "usage",
]
