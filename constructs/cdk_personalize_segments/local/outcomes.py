"""Work in threads, whose outcomes come in an order that no thread's speed changes.

The clock's loop does all that it can; then the works that it has called for begin; then
one outcome comes, and the loop goes on. Outcomes come in the order of the calls, and
the place of one that is no longer wanted is kept until its work has ended.

A function may wait for what it has started itself: that is not held for the function.
It may also wait for what only comes after the outcome of a later call, which would
never end. So an outcome is held for earlier ones for 5 real seconds only; where works
side by side take longer than that, their order depends on their speed.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

PATIENCE_SECONDS: Final = 5.0
"""Real seconds for which an outcome waits for earlier ones."""
_WORKERS: Final = 32
_NESTED_WORKERS: Final = 1000


class Origin:
    """Something that works in a thread or process, and may start other things."""

    def __init__(self) -> None:
        """Begin to work."""
        self._parent = _origin.get()
        self._ended = False

    def end(self) -> None:
        """Have worked."""
        self._ended = True

    @property
    def works(self) -> bool:
        """Whether it, or what started it, may wait for what it has started."""
        return not self._ended or (self._parent is not None and self._parent.works)


_origin: Final[contextvars.ContextVar[Origin | None]] = contextvars.ContextVar(
    "origin", default=None
)


@contextlib.contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """Have what is started in this thread come from something that works."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


def is_nested() -> bool:
    """Tell whether this comes from something that still works, and may wait for it."""
    origin = _origin.get()
    return origin is not None and origin.works


class Call:
    """Work that was called for, on the clock's loop."""

    def __init__(self, work: Callable[[], Any]) -> None:
        """Describe the work."""
        self.origin = _origin.get()
        self.turn = asyncio.get_running_loop().create_future()
        self.done_at: float | None = None
        self._context = contextvars.copy_context()
        self._work = work
        self._outcome: concurrent.futures.Future[Any]

    @property
    def is_nested(self) -> bool:
        """Whether something that works may wait for it."""
        return self.origin is not None and self.origin.works

    def begin(
        self, workers: concurrent.futures.Executor, done: Callable[[], None]
    ) -> None:
        """Let a thread do it, and tell when it is done."""

        def note(_: object) -> None:
            self.done_at = time.monotonic()
            done()

        self._outcome = workers.submit(self._context.run, self._work)
        self._outcome.add_done_callback(note)

    async def outcome(self) -> Any:  # noqa: ANN401
        """Give its outcome, when it is its turn."""
        await self.turn
        return self._outcome.result()


class Outcomes:
    """What was called for and has not come yet, in the order of the calls."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Begin without calls.

        Args:
            wake: Has the loop look again, from any thread.
        """
        self._wake = wake
        self._new: list[Call] = []
        self._calls: list[Call] = []
        self._workers = concurrent.futures.ThreadPoolExecutor(
            _WORKERS, thread_name_prefix="clock-worker"
        )
        # Others of their own, since the former may all wait for them.
        self._nested_workers = concurrent.futures.ThreadPoolExecutor(
            _NESTED_WORKERS, thread_name_prefix="clock-nested-worker"
        )

    def call(self, work: Callable[[], Any]) -> Call:
        """Call for work; on the loop."""
        call = Call(work)
        self._new.append(call)
        return call

    def begin(self) -> list[Call]:
        """Begin what was called for since; the loop has nothing else to do.

        Returns:
            The calls that were cancelled before.
        """
        new, self._new = self._new, []
        begun = [call for call in new if not call.turn.cancelled()]
        for call in begun:
            self._calls.append(call)
            call.begin(
                self._nested_workers if call.is_nested else self._workers, self._wake
            )
        return [call for call in new if call.turn.cancelled()]

    def next(self) -> Call | None:
        """Give the call whose outcome is next, or None if it is still to be done."""
        held = set()
        now = time.monotonic()
        for number, call in enumerate(self._calls):
            if call.done_at is None:
                held.add(call.origin)
            elif (
                now - call.done_at >= PATIENCE_SECONDS
                or not held
                or (call.is_nested and call.origin not in held)
            ):
                return self._calls.pop(number)
        return None

    def patience(self) -> float | None:
        """Tell for how many real seconds to wait for an earlier outcome, if any."""
        done = [call.done_at for call in self._calls if call.done_at is not None]
        if not done:
            return None
        return max(0, min(done) + PATIENCE_SECONDS - time.monotonic())

    def stop(self) -> None:
        """Begin nothing more."""
        for workers in (self._workers, self._nested_workers):
            workers.shutdown(wait=False, cancel_futures=True)
