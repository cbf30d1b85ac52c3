"""Virtual time: it stands still while anything works, and jumps while all waits.

Everything that waits in local AWS is a coroutine or a thread that sleeps on one clock.
The clock runs coroutines on an asyncio loop of its own whose time is virtual, so
deadlines, time-outs and cancellation are asyncio's, in an order that never changes.
"""

import asyncio
import concurrent.futures
import contextlib
import heapq
import itertools
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from cdk_personalize_segments.local.outcomes import Outcomes, is_nested

_T = TypeVar("_T")
# Seconds that make no difference: sums of them are not exact.
_RESOLUTION_SECONDS: Final = 1e-6


def iso(instant: datetime) -> str:
    """Write an instant as Step Functions does.

    Args:
        instant: An aware datetime.

    Returns:
        ISO-8601 in UTC with milliseconds and a Z.
    """
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Clock:
    """One clock for a whole local AWS.

    It advances only when everything on it waits and nothing is `busy`: at once to the
    next deadline, or at a multiple of real speed. What is due `at` an instant happens
    when time passes it, but never makes time pass: schedules that recur for ever would
    let it race for ever. `advance` lets time pass by itself.
    """

    def __init__(
        self, start: datetime | None = None, speed: float | None = None
    ) -> None:
        """Start the clock.

        Args:
            start: Its first instant, aware; the real time if None.
            speed: Virtual seconds in a real second, or None to jump over every wait.

        Raises:
            ValueError: The speed is not above zero, or the start has no time zone.
        """
        if speed is not None and speed <= 0:
            raise ValueError(f"speed must be above 0 or None, not {speed}")
        start = start or datetime.now(UTC)
        if start.tzinfo is None:
            raise ValueError(f"the clock's start {start} needs a time zone")
        # Whole milliseconds, so that written times add up exactly.
        self._start = start.astimezone(UTC).replace(
            microsecond=start.microsecond // 1000 * 1000
        )
        self._time = _VirtualTime(speed)
        self._outcomes = Outcomes(self._wake)
        # How many set something up, and what is to begin when they have.
        self._setting_up = 0
        self._beginnings: list[asyncio.Event] = []
        self._loop = _VirtualLoop(self._time, self._go_on, self._outcomes.patience)
        self._time.wake = self._wake
        self._time.due = self._due
        self._ends: list[Callable[[], None]] = []
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="clock", daemon=True
        )
        self._thread.start()

    def now(self) -> datetime:
        """Tell the virtual time, in UTC."""
        return self._start + timedelta(seconds=self._time.seconds())

    def sleep(self, seconds: float) -> None:
        """Wait for virtual time to pass; not from a coroutine on the clock.

        Args:
            seconds: How long, in virtual seconds.
        """
        self.start(asyncio.sleep(seconds)).result()

    def at(self, instant: datetime, happen: Callable[[], None]) -> "Deadline":
        """Have something happen when time passes an instant, without waiting for it.

        Time on its way to something that is waited for stops there. What is due at the
        same instant happens in the order of the calls, before whoever sleeps until then
        goes on.

        Args:
            instant: When; at once if it is past.
            happen: What to call, on the clock: it must not block, but may `start` what
                does.

        Returns:
            The deadline, which can be cancelled.
        """
        seconds = (instant - self._start).total_seconds()
        deadline = Deadline(seconds, happen)
        self._time.add(deadline)
        self._wake()
        return deadline

    def advance(self, duration: timedelta) -> None:
        """Let time pass, with everything that is due on the way; not from the clock.

        Returns when it is then, and all that is due then has happened.

        Args:
            duration: How much of it.
        """
        self.sleep(duration.total_seconds())
        self.settle()

    def advance_to(self, instant: datetime) -> None:
        """Let time pass until an instant, as `advance` does.

        Args:
            instant: When to stop, aware; an instant that is past is now.
        """
        self.advance(max(instant - self.now(), timedelta(0)))

    def settle(self) -> None:
        """Wait until all that can happen now has happened; not from the clock."""
        self.start(self._settled()).result()

    async def lull(self) -> None:
        """Wait, on the clock, until all else that can happen now has happened.

        So what comes at the same instant, in whatever order, is there together.
        """
        lull = asyncio.Event()
        self._time.lulls.append(lull)
        await lull.wait()

    async def _settled(self) -> None:
        settled = asyncio.Event()
        self._time.settling.append(settled)
        await settled.wait()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Keep the clock from advancing, because something works or must be set up.

        What is started meanwhile begins at once, as far as it need not wait.
        """
        self._time.hold()
        try:
            yield
        finally:
            self._time.release()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Have the executions that are started meanwhile begin together, at the end.

        They begin in the order of their starts, at one instant, however long the starts
        take: so they go the same way every time. Asynchronous invocations do so too.
        What a function starts begins at once, since the function may wait for it.
        """
        with self._time.lock:
            self._setting_up += 1
        try:
            with self.busy():
                yield
        finally:
            with self._time.lock:
                self._setting_up -= 1
            # Functions may work, so that the release has woken nobody.
            self._wake()

    async def set_up(self) -> None:
        """Wait, on the clock, until nothing is being set up."""
        if self._setting_up and not is_nested():
            beginning = asyncio.Event()
            self._beginnings.append(beginning)
            # Time must not pass between the end of that and the beginning of this.
            with self.busy():
                await beginning.wait()

    def start(
        self, coroutine: Coroutine[Any, Any, _T]
    ) -> concurrent.futures.Future[_T]:
        """Run a coroutine on the clock, where `asyncio.sleep` is virtual.

        It begins at the virtual time of the call.

        Args:
            coroutine: It must not block: see `in_thread`.

        Returns:
            Its outcome to be; cancelling it cancels the coroutine.
        """
        self._time.hold()
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        # Not before the loop knows of it.
        self._loop.call_soon_threadsafe(self._time.release)
        return future

    async def in_thread(self, work: Callable[..., _T], *args: object) -> _T:
        """Do work that blocks, from a coroutine on the clock, while time stands still.

        Works run side by side, but their outcomes come in the order of the calls,
        whichever is ready first: so every run goes the same way. Work goes on when its
        caller is cancelled, and time stands still until it has ended.

        Args:
            work: What to call, in a thread.
            *args: What to call it with.
        """
        call = self._outcomes.call(partial(work, *args))
        self._time.hold()
        result: _T = await call.outcome()
        return result

    def on_stop(self, end: Callable[[], None]) -> None:
        """Have something ended together with the clock, before it stops.

        Args:
            end: Ends it.
        """
        self._ends.append(end)

    def stop(self) -> None:
        """Cancel all that waits, and stop for good."""
        if self._loop.is_closed():
            return
        while self._ends:
            self._ends.pop()()
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._outcomes.stop()
        self._loop.close()

    def _go_on(self) -> bool:
        """Let happen what comes next now; tell whether anything does.

        The loop has nothing else to do.
        """
        for _ in self._outcomes.begin():
            self._time.release()
        if self._beginnings and not self._setting_up:
            beginnings, self._beginnings = self._beginnings, []
            for beginning in beginnings:
                beginning.set()
            return True
        call = self._outcomes.next()
        if call is None:
            return False
        if not call.turn.cancelled():
            call.turn.set_result(None)
        # Not before its caller has gone on.
        self._loop.call_soon(self._time.release)
        return True

    def _due(self, deadline: "Deadline") -> None:
        self._loop.call_soon(deadline.happen)

    def _wake(self) -> None:
        # The loop may have closed since.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(lambda: None)


class Deadline:
    """Something that happens when time passes an instant."""

    def __init__(self, seconds: float, happen: Callable[[], None]) -> None:
        """Set a deadline.

        Args:
            seconds: When, in seconds since the clock's start.
            happen: What happens.
        """
        self.seconds = seconds
        self._happen = happen
        self._cancelled = False

    def cancel(self) -> None:
        """Let it not happen."""
        self._cancelled = True

    def happen(self) -> None:
        """Let it happen, unless it is cancelled."""
        if not self._cancelled:
            self._happen()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _VirtualTime:
    """Seconds since the start, whether they may pass, and what they pass."""

    wake: Callable[[], None]
    due: Callable[[Deadline], None]

    def __init__(self, speed: float | None) -> None:
        self.speed = speed
        self.lock = threading.Lock()
        self.holders = 0
        self._seconds = 0.0
        self._since = time.monotonic()
        self._deadlines: list[tuple[float, int, Deadline]] = []
        self._numbers = itertools.count()
        # Those who wait until nothing more happens now, to do something or to see it.
        self.lulls: list[asyncio.Event] = []
        self.settling: list[asyncio.Event] = []

    def add(self, deadline: Deadline) -> None:
        with self.lock:
            entry = (deadline.seconds, next(self._numbers), deadline)
            heapq.heappush(self._deadlines, entry)

    def seconds(self) -> float:
        with self.lock:
            return self._seconds_now()

    def hold(self) -> None:
        with self.lock:
            self._seconds = self._seconds_now()
            self.holders += 1

    def release(self) -> None:
        with self.lock:
            self.holders -= 1
            self._since = time.monotonic()
            if self.holders:
                return
        self.wake()

    def pass_time(self, timeout: float | None) -> float | None:
        """Pass time, as far as the next deadline of either kind.

        The caller has the lock, and nothing holds the time.

        Args:
            timeout: Seconds until the next one that is waited for, or None.

        Returns:
            How many real seconds that takes, or None to wait for anything new.
        """
        due = [self._deadlines[0][0] - self._seconds_now()] if self._deadlines else []
        if self.speed is not None:
            soonest = min([*due, *([] if timeout is None else [timeout])], default=None)
            return None if soonest is None else max(soonest, 0) / self.speed
        if timeout is None:
            return None
        if due and due[0] < timeout:
            self._seconds = max(self._deadlines[0][0], self._seconds)
        else:
            self._seconds += timeout
        return 0

    def fire_due(self) -> None:
        """Let happen what time has passed."""
        with self.lock:
            now = self._seconds_now()
            while (
                self._deadlines and self._deadlines[0][0] <= now + _RESOLUTION_SECONDS
            ):
                seconds, _, deadline = heapq.heappop(self._deadlines)
                if self.speed is None:
                    # So that what is due finds exactly its own time.
                    self._seconds = max(self._seconds, seconds)
                self.due(deadline)

    def settle(self) -> bool:
        """Tell those who wait for it that nothing more happens now."""
        if self.lulls:
            told, self.lulls = self.lulls, []
        else:
            told, self.settling = self.settling, []
        for each in told:
            each.set()
        return bool(told)

    def _seconds_now(self) -> float:
        if self.speed is None or self.holders:
            return self._seconds
        return self._seconds + (time.monotonic() - self._since) * self.speed


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that takes its time from a clock."""

    def __init__(
        self,
        virtual_time: _VirtualTime,
        go_on: Callable[[], bool],
        patience: Callable[[], float | None],
    ) -> None:
        self._virtual_time = virtual_time
        super().__init__(_WaitingSelector(virtual_time, go_on, patience))
        # What is due counts as due from so many seconds before. With the nanosecond
        # of asyncio, nothing would be due any more after about a hundred days, where
        # floats are further apart than that.
        self._clock_resolution = _RESOLUTION_SECONDS

    def time(self) -> float:
        return self._virtual_time.seconds()


class _WaitingSelector(selectors.DefaultSelector):
    """Where the loop waits for its next deadline, and so where time passes."""

    def __init__(
        self,
        virtual_time: _VirtualTime,
        go_on: Callable[[], bool],
        patience: Callable[[], float | None],
    ) -> None:
        super().__init__()
        self._time = virtual_time
        self._go_on = go_on
        self._patience = patience

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            ready = super().select(0)
            if ready or self._go_on():
                self._time.fire_due()
                return ready
            with self._time.lock:
                if self._time.holders:
                    # A release, or anything new, interrupts the wait.
                    timeout = self._patience()
                else:
                    # Whoever released the clock has left its results here before.
                    if super().select(0) or self._time.settle():
                        timeout = 0
                    else:
                        timeout = self._time.pass_time(timeout)
        ready = super().select(timeout)
        # Before the loop looks who sleeps until now.
        self._time.fire_due()
        return ready
