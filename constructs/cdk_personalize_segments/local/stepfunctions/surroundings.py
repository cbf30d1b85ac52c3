"""What the states of one execution reach: functions, other executions, Map Runs."""

from typing import TYPE_CHECKING

from cdk_personalize_segments.local.stepfunctions.distributed import DistributedMap
from cdk_personalize_segments.local.stepfunctions.history import History
from cdk_personalize_segments.local.stepfunctions.integrations import LAMBDA_INVOKE
from cdk_personalize_segments.local.stepfunctions.interpreter import TaskCall
from cdk_personalize_segments.local.stepfunctions.lambda_task import LambdaInvoke
from cdk_personalize_segments.local.stepfunctions.nested import StartExecution
from cdk_personalize_segments.local.stepfunctions.scopes import Evaluator, Visit
from cdk_personalize_segments.local.untyped import Json

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws
    from cdk_personalize_segments.local.stepfunctions.execution import Execution
    from cdk_personalize_segments.local.stepfunctions.registry import Registry


class ExecutionSurroundings:
    """Performs the tasks and Distributed Maps of an execution, as its role."""

    def __init__(
        self, aws: "LocalAws", registry: "Registry", execution: "Execution"
    ) -> None:
        """Prepare for an execution.

        Args:
            aws: The local AWS.
            registry: All executions.
            execution: The one that they are for.
        """
        self._clock = aws.clock
        self._tokens = registry.tokens
        region = execution.arn.split(":")[3]
        access = registry.access(execution.machine.role_arn, region)
        self._invoke = LambdaInvoke(access, region, aws.account_id)
        self._start = StartExecution(registry.start, access)
        self._map = DistributedMap(aws.clock, registry, execution, access)

    async def perform(self, call: TaskCall) -> Json:
        """Do what a Task state asks for, as `interpreter.Surroundings` has it."""
        if call.token is None:
            return await self._answer(call)
        self._tokens.open(call.token)
        try:
            call.submitted(await self._answer(call))
            return await self._tokens.wait(call.token, call.heartbeat)
        finally:
            self._tokens.close(call.token)

    async def _answer(self, call: TaskCall) -> Json:
        if call.resource.startswith(LAMBDA_INVOKE):
            return await self._clock.in_thread(
                self._invoke, call.arguments, call.timeout, call.request_id
            )
        return await self._start(call)

    async def run_distributed_map(
        self, visit: Visit, evaluator: Evaluator, history: History
    ) -> Json:
        """Run a Distributed Map state, as `interpreter.Surroundings` has it."""
        return await self._map.run(visit, evaluator, history)
