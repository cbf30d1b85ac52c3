"""Shows how far a run is: a bar on a terminal, lines elsewhere."""

from datetime import timedelta
from types import TracebackType
from typing import Final, NamedTuple, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.cli import screen
from cdk_personalize_segments.cli.executions import Snapshot

STEPS: Final = 5
# Without a terminal: say that it still goes on.
_SIGN_OF_LIFE: Final = timedelta(minutes=15)


class Phase(NamedTuple):
    """What happens in a state: the step of the run, and plain words for it."""

    step: int
    words: str


_PREPARING: Final = Phase(0, "Checking the queries, writing the job's input")
_CREATING: Final = Phase(1, "Creating the job")
_QUEUED: Final = Phase(
    1,
    f"Waiting for a job slot: {limits.MAX_ACTIVE_JOBS} jobs are pending or in progress",
)
_WORKING: Final = Phase(2, "Personalize works on the job")
_COLLECTING: Final = Phase(3, "Collecting the segments")
_ACCOUNTING: Final = Phase(4, "Accounting for every query")
_STARTING: Final = Phase(0, "Starting")

PHASES: Final = {
    "Prepare input": _PREPARING,
    "Input ready?": _PREPARING,
    "Create job": _CREATING,
    "Job created?": _CREATING,
    "Wait for a job slot": _QUEUED,
    "Wait for the job": _WORKING,
    "Look at the job": _WORKING,
    "Job finished?": _WORKING,
    "Collect segments": _COLLECTING,
    "Collect part": _COLLECTING,
    "Account for every query": _ACCOUNTING,
    "Every query accounted for?": _ACCOUNTING,
    "Wait for missing output": Phase(4, "Waiting for output that is still missing"),
    "Run succeeded": Phase(STEPS, "Done"),
    "Nothing to do": Phase(STEPS, "Done, as there was nothing to do"),
    "Record failure": Phase(4, "Recording why the run failed"),
    "Run failed": Phase(4, "Failed"),
    "Failure not recorded": Phase(4, "Failed"),
}


def phase(snapshot: Snapshot) -> Phase:
    """Tell what a run is doing, or how it ended."""
    if snapshot.status == "SUCCEEDED":
        return Phase(STEPS, "Done")
    if snapshot.status != "RUNNING":
        return Phase(STEPS, snapshot.status.capitalize().replace("_", " "))
    return PHASES.get(snapshot.state or "", _STARTING)


def describe(snapshot: Snapshot) -> str:
    """Write in one line what a run is doing."""
    now = phase(snapshot)
    if now is _WORKING and snapshot.job_status:
        return f"{now.words} ({snapshot.job_status})"
    return now.words


class RunProgress:
    """Shows a run while it is followed; use it in a `with` statement."""

    def __init__(self) -> None:
        """Choose the form that fits where it is shown."""
        self._bar: Progress | None = None
        if screen.err.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[elapsed]}", markup=False),
                console=screen.err,
                transient=True,
            )
            self._task = self._bar.add_task("Starting", total=STEPS, elapsed="")
        self._shown: str | None = None
        self._shown_at = timedelta()

    def __enter__(self) -> Self:
        """Begin to show it."""
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the screen to what follows."""
        if self._bar:
            self._bar.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Show a run as it is now."""
        text = describe(snapshot)
        if self._bar:
            self._bar.update(
                self._task,
                description=text,
                completed=phase(snapshot).step,
                elapsed=screen.duration(snapshot.elapsed),
            )
        elif text != self._shown or snapshot.elapsed - self._shown_at > _SIGN_OF_LIFE:
            self._shown, self._shown_at = text, snapshot.elapsed
            screen.note(f"{screen.duration(snapshot.elapsed):>11}  {text}")
