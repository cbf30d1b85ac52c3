"""Step Functions in JSONata, on the virtual clock.

moto keeps the state machines; their executions are run here, state by state and with
the events that AWS has.
"""

from cdk_personalize_segments.local.stepfunctions.bridge import install

__all__ = ["install"]
