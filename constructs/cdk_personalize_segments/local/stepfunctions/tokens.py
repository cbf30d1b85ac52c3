"""Task tokens: who waits for which, and what became of it.

https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html
"""

import asyncio

from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import InvalidToken

from cdk_personalize_segments.local.stepfunctions.errors import (
    HEARTBEAT_TIMEOUT,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.json_texts import read_json
from cdk_personalize_segments.local.untyped import Json


class TaskTimedOut(AWSError):  # noqa: N818
    """The task waits no longer."""

    TYPE = "TaskTimedOut"


class InvalidOutput(AWSError):  # noqa: N818
    """The output of a task is not JSON."""

    TYPE = "InvalidOutput"


class Tokens:
    """The tokens of all tasks; every method is called on the clock."""

    def __init__(self) -> None:
        """Begin without tokens."""
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._beats: dict[str, asyncio.Event] = {}
        self._over: set[str] = set()

    def open(self, token: str) -> None:
        """Make a token known, before anybody can be told it.

        Args:
            token: The token.
        """
        self._waiting[token] = asyncio.get_running_loop().create_future()
        self._beats[token] = asyncio.Event()

    def close(self, token: str) -> None:
        """End a token: what is sent for it from now on comes too late.

        Args:
            token: The token.
        """
        self._waiting.pop(token, None)
        self._beats.pop(token, None)
        self._over.add(token)

    async def wait(self, token: str, heartbeat: float | None) -> Json:
        """Wait until a result is sent for a token.

        Args:
            token: The token.
            heartbeat: Seconds that may pass without a heartbeat, or None.

        Returns:
            The result.

        Raises:
            StateError: A failure was sent, or no heartbeat came in time.
        """
        result, beat = self._waiting[token], self._beats[token]
        while not result.done():
            beat.clear()
            try:
                async with asyncio.timeout(heartbeat):
                    await beat.wait()
            except TimeoutError:
                raise StateError(HEARTBEAT_TIMEOUT) from None
        return result.result()

    async def succeed(self, token: str, output: str) -> None:
        """Send a result, as SendTaskSuccess does.

        Args:
            token: The token.
            output: The result, as JSON text.

        Raises:
            AWSError: Nobody waits for the token, or the output is not JSON.
        """
        try:
            value = read_json(output)
        except ValueError as error:
            raise InvalidOutput(f"Invalid Output: '{error}'") from None
        self._find(token).set_result(value)
        self._beats[token].set()

    async def fail(self, token: str, error: str | None, cause: str | None) -> None:
        """Send a failure, as SendTaskFailure does.

        Args:
            token: The token.
            error: The name of the error, if any.
            cause: What it says, if anything.

        Raises:
            AWSError: Nobody waits for the token.
        """
        self._find(token).set_exception(StateError(error or "", cause))
        self._beats[token].set()

    async def beat(self, token: str) -> None:
        """Send a heartbeat, as SendTaskHeartbeat does.

        Args:
            token: The token.

        Raises:
            AWSError: Nobody waits for the token.
        """
        self._find(token)
        self._beats[token].set()

    def _find(self, token: str) -> "asyncio.Future[Json]":
        if token in self._over or (
            token in self._waiting and self._waiting[token].done()
        ):
            raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
        if token not in self._waiting:
            raise InvalidToken("Invalid Token: 'Invalid token'")
        return self._waiting[token]
