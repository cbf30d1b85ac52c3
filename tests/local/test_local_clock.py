"""The virtual clock."""

import asyncio
import gc
import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from cdk_personalize_segments.local import outcomes
from cdk_personalize_segments.local.clock import Clock, iso

START = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    clock = Clock(START)
    yield clock
    clock.stop()


def seconds_since_start(clock):
    return (clock.now() - START).total_seconds()


def test_a_day_passes_in_no_time(clock):
    began = time.monotonic()
    clock.sleep(24 * 3600)
    assert clock.now() == START + timedelta(days=1)
    assert time.monotonic() - began < 0.5


def test_years_pass_to_the_microsecond(clock):
    clock.sleep(20 * 365 * 86400)
    for _ in range(100):
        clock.sleep(86400.001)
    expected = timedelta(days=20 * 365 + 100, milliseconds=100)
    assert abs(clock.now() - START - expected) < timedelta(milliseconds=1)


def test_it_stands_still_while_nothing_waits(clock):
    time.sleep(0.05)
    assert clock.now() == START


def test_it_starts_at_the_real_time():
    clock = Clock()
    try:
        assert abs(datetime.now(UTC) - clock.now()) < timedelta(seconds=5)
    finally:
        clock.stop()


def test_sleepers_wake_in_the_order_of_their_deadlines(clock):
    woken = []

    async def wait(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, seconds_since_start(clock)))

    with clock.busy():
        sleepers = [clock.start(wait(seconds)) for seconds in (300, 7, 86_400, 0.5)]
    for sleeper in sleepers:
        sleeper.result(5)
    assert woken == [(0.5, 0.5), (7, 7), (300, 300), (86_400, 86_400)]


def test_it_stands_still_while_something_is_busy(clock):
    with clock.busy():
        sleeper = clock.start(asyncio.sleep(60))
        time.sleep(0.05)
        assert not sleeper.done()
        assert clock.now() == START
    sleeper.result(5)
    assert seconds_since_start(clock) == 60


def test_it_stands_still_until_all_that_are_busy_are_done(clock):
    with clock.busy():
        with clock.busy():
            sleeper = clock.start(asyncio.sleep(60))
        time.sleep(0.05)
        assert clock.now() == START
    sleeper.result(5)


def test_a_coroutine_begins_at_the_time_of_its_start(clock):
    begun = []

    async def begin():
        begun.append(clock.now())

    async def tick():
        for _ in range(1000):
            await asyncio.sleep(1)

    ticking = clock.start(tick())
    for _ in range(20):
        before = clock.now()
        clock.start(begin()).result(5)
        assert begun[-1] >= before
    ticking.result(5)


def test_a_cancelled_start_leaves_the_clock_running(clock):
    for _ in range(200):
        clock.start(asyncio.sleep(1)).cancel()
    clock.sleep(10)
    assert seconds_since_start(clock) >= 10


def test_time_stands_still_while_a_thread_works(clock):
    async def work():
        before = clock.now()
        result = await clock.in_thread(lambda: time.sleep(0.05) or "done")
        return result, clock.now() - before

    sleeper = clock.start(asyncio.sleep(3600))
    assert clock.start(work()).result(5) == ("done", timedelta(0))
    sleeper.result(5)


def test_outcomes_of_threads_come_in_the_order_of_the_calls(clock):
    finished = []

    async def work(number):
        # The first takes the longest.
        await clock.in_thread(time.sleep, (5 - number) * 0.02)
        finished.append(number)

    async def all_of_them():
        await asyncio.gather(*(work(number) for number in range(5)))

    clock.start(all_of_them()).result(5)
    assert finished == [0, 1, 2, 3, 4]


def test_cancelled_work_keeps_its_place_and_time_stands_still_until_it_has_ended(
    clock, caplog
):
    came, ended, release = [], [], threading.Event()

    def cancelled():
        release.wait(5)
        time.sleep(0.05)
        ended.append(seconds_since_start(clock))
        raise ValueError("nobody asks for it any more")

    async def work(name, what):
        await clock.in_thread(what)
        came.append((name, len(ended), seconds_since_start(clock)))

    async def all_of_them():
        first = asyncio.ensure_future(work("first", lambda: time.sleep(0.02)))
        second = asyncio.ensure_future(work("cancelled", cancelled))
        third = asyncio.ensure_future(work("third", lambda: None))
        await first
        second.cancel()
        release.set()
        await asyncio.gather(asyncio.sleep(3600), third)

    clock.start(all_of_them()).result(5)
    assert came == [("first", 0, 0), ("third", 1, 0)]
    assert ended == [0]
    gc.collect()
    assert not caplog.records


def test_an_outcome_is_not_held_for_ever(clock, monkeypatch):
    """As when a function polls for what comes after a later one."""
    monkeypatch.setattr(outcomes, "PATIENCE_SECONDS", 0.05)
    after = threading.Event()

    async def later():
        await clock.in_thread(lambda: None)
        after.set()

    async def both():
        first = asyncio.ensure_future(clock.in_thread(after.wait, 5))
        await asyncio.gather(first, later())
        return first.result()

    assert clock.start(both()).result(10)


def test_what_work_starts_is_not_held_for_it(clock):
    """As when a function polls an execution that it has started."""

    def work():
        with outcomes.coming_from(outcomes.Origin()):
            started = clock.start(clock.in_thread(lambda: "done"))
            return started.result(outcomes.PATIENCE_SECONDS / 2)

    assert clock.start(clock.in_thread(work)).result(10) == "done"


def test_what_is_started_together_begins_in_the_order_of_the_starts(clock):
    begun = []

    async def begin(number):
        await clock.set_up()
        begun.append(number)

    with clock.together():
        for number in range(3):
            clock.start(begin(number))
        time.sleep(0.02)
        assert begun == []
    clock.settle()
    assert begun == [0, 1, 2]


def test_an_error_of_a_thread_is_raised_to_who_called(clock):
    async def work():
        await clock.in_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        clock.start(work()).result(5)


def test_deadlines_of_asyncio_are_virtual(clock):
    async def wait():
        async with asyncio.timeout(3600):
            await asyncio.sleep(7200)

    with pytest.raises(TimeoutError):
        clock.start(wait()).result(5)
    assert seconds_since_start(clock) == 3600


def test_speed_lets_virtual_time_flow():
    clock = Clock(START, speed=3600)
    try:
        began = time.monotonic()
        clock.sleep(720)
        real = time.monotonic() - began
        assert 0.15 < real < 1
        assert 720 <= seconds_since_start(clock) < 720 + 3600 * 0.5
    finally:
        clock.stop()


def test_speed_stops_while_something_is_busy():
    clock = Clock(START, speed=3600)
    try:
        with clock.busy():
            before = clock.now()
            time.sleep(0.05)
            assert clock.now() == before
    finally:
        clock.stop()


@pytest.mark.parametrize("speed", [0, -1])
def test_a_speed_must_be_above_zero(speed):
    with pytest.raises(ValueError, match="speed must be above 0"):
        Clock(speed=speed)


def test_a_start_needs_a_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        Clock(datetime(2026, 1, 1))


def test_stopping_ends_what_waits():
    clock = Clock(START)
    with clock.busy():
        sleeper = clock.start(asyncio.sleep(1))
        clock.stop()
    assert sleeper.cancelled()
    clock.stop()


def test_stopping_ends_what_was_tied_to_it():
    clock, ended = Clock(START), []
    clock.on_stop(lambda: ended.append("functions"))
    clock.stop()
    assert ended == ["functions"]


def test_no_wake_up_is_lost_among_many_threads(clock):
    """Threads sleep, work and hold the clock at random; all must end, in time."""
    late = []

    def live(seed):
        chance = random.Random(seed)  # noqa: S311
        for _ in range(60):
            doing = chance.random()
            if doing < 0.5:
                seconds = chance.randint(1, 10_000)
                before = clock.now()
                clock.sleep(seconds)
                if clock.now() - before < timedelta(seconds=seconds):
                    late.append(seed)
            else:
                with clock.busy():
                    before = clock.now()
                    time.sleep(chance.random() / 2000)
                    if clock.now() != before:
                        late.append(seed)

    threads = [
        threading.Thread(target=live, args=(seed,), daemon=True) for seed in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert late == []


def test_times_are_written_as_step_functions_does():
    assert iso(START) == "2026-01-31T23:00:00.000Z"
    assert iso(START + timedelta(milliseconds=7)) == "2026-01-31T23:00:00.007Z"


# --- What is due, and waits for nobody ---


def test_what_is_due_happens_in_order_when_time_passes_it(clock):
    happened = []

    def note(name):
        return lambda: happened.append((name, seconds_since_start(clock)))

    clock.at(START + timedelta(seconds=90), note("third"))
    clock.at(START + timedelta(seconds=30), note("first"))
    clock.at(START + timedelta(seconds=30), note("second"))
    clock.at(START + timedelta(days=2), note("later"))
    clock.sleep(24 * 3600)
    assert happened == [("first", 30), ("second", 30), ("third", 90)]


def test_what_is_due_makes_no_time_pass(clock):
    happened = []
    clock.at(START + timedelta(seconds=30), lambda: happened.append(clock.now()))
    clock.settle()
    time.sleep(0.05)
    assert happened == []
    assert clock.now() == START


def test_what_recurs_for_ever_lets_time_stop(clock):
    happened = []

    def tick():
        happened.append(seconds_since_start(clock))
        clock.at(clock.now() + timedelta(hours=1), tick)

    clock.at(START, tick)
    clock.advance(timedelta(hours=3))
    assert happened == [0, 3600, 7200, 10_800]
    clock.settle()
    assert seconds_since_start(clock) == 10_800


def test_what_is_due_comes_before_who_sleeps_until_then(clock):
    happened = []

    async def wait():
        await asyncio.sleep(60)
        happened.append("sleeper")

    with clock.busy():
        sleeper = clock.start(wait())
        clock.at(START + timedelta(seconds=60), lambda: happened.append("due"))
    sleeper.result(5)
    clock.settle()
    assert happened == ["due", "sleeper"]


def test_what_is_past_is_due_at_once(clock):
    happened = threading.Event()
    clock.at(START - timedelta(days=1), happened.set)
    assert happened.wait(5)
    assert clock.now() == START


def test_what_is_past_is_due_although_the_clock_is_about_to_wait(monkeypatch):
    happened = threading.Event()
    go_on = Clock._go_on

    def set_deadline_and_go_on(clock):
        if not deadlines:
            deadlines.append(clock.at(START - timedelta(days=1), happened.set))
        return go_on(clock)

    deadlines = []
    monkeypatch.setattr(Clock, "_go_on", set_deadline_and_go_on)
    clock = Clock(START)
    try:
        assert happened.wait(5)
    finally:
        clock.stop()


def test_what_is_cancelled_does_not_happen(clock):
    happened = []
    clock.at(START + timedelta(seconds=1), lambda: happened.append(1)).cancel()
    clock.advance(timedelta(seconds=2))
    assert happened == []


def test_an_advance_ends_when_all_that_is_due_then_has_happened(clock):
    happened = []

    async def follow():
        await clock.in_thread(time.sleep, 0.02)
        happened.append(seconds_since_start(clock))

    clock.at(START + timedelta(hours=1), lambda: clock.start(follow()))
    clock.advance_to(START + timedelta(hours=1))
    assert happened == [3600]
    assert clock.now() == START + timedelta(hours=1)
    clock.advance_to(START)
    assert clock.now() == START + timedelta(hours=1)


def test_settling_waits_for_what_works_but_not_for_who_sleeps(clock):
    happened = []

    async def work():
        await clock.in_thread(time.sleep, 0.02)
        happened.append("work")

    with clock.busy():
        clock.start(work())
        sleeper = clock.start(asyncio.sleep(3600))
        waiting = threading.Thread(target=clock.settle, daemon=True)
        waiting.start()
    waiting.join(5)
    assert not waiting.is_alive()
    assert happened == ["work"]
    sleeper.result(5)


def test_with_a_speed_what_is_due_happens_as_time_flows():
    clock, happened = Clock(START, speed=3600), threading.Event()
    try:
        clock.at(START + timedelta(seconds=180), happened.set)
        assert not happened.is_set()
        assert happened.wait(5)
        assert seconds_since_start(clock) >= 180
    finally:
        clock.stop()


def test_many_deadlines_among_sleepers_are_met_to_the_second(clock):
    chance, met, wrong = random.Random(7), [], []  # noqa: S311

    def meet(due):
        met.append(due)
        if seconds_since_start(clock) != due:
            wrong.append(due)

    with clock.busy():
        for _ in range(2000):
            due = chance.randint(1, 100_000)
            clock.at(START + timedelta(seconds=due), lambda due=due: meet(due))
        sleepers = [
            clock.start(asyncio.sleep(chance.randint(1, 100_000))) for _ in range(200)
        ]
    clock.advance(timedelta(seconds=100_001))
    assert all(sleeper.done() for sleeper in sleepers)
    assert len(met) == 2000
    assert met == sorted(met)
    assert wrong == []


def test_what_waits_for_a_lull_sees_all_of_an_instant(clock):
    seen, arrived = [], []

    async def collect():
        await clock.lull()
        seen.extend(arrived)

    async def arrive(number):
        await clock.in_thread(time.sleep, 0.005)
        arrived.append(number)

    with clock.busy():
        clock.start(collect())
        for number in range(3):
            clock.start(arrive(number))
    clock.settle()
    assert seen == [0, 1, 2]
    assert clock.now() == START


def test_an_advance_meets_what_is_due_at_its_end_whatever_the_fractions(clock):
    chance, missed = random.Random(3), []  # noqa: S311
    for _ in range(300):
        clock.sleep(chance.random())
        due, met = clock.now() + timedelta(seconds=chance.randint(1, 99)), []
        clock.at(due, lambda met=met: met.append(clock.now()))
        clock.advance_to(due)
        if met != [due]:
            missed.append((due, met))
    assert missed == []
