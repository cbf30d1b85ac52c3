"""What belongs to a whole process, and yet must be each function's own within one.

A thread that runs a function, and every thread that it starts, sees the environment of
that function in `os.environ`, and what libraries log there goes to the function's log.
What a function cannot have of its own is refused by name. All other threads notice
nothing.

Once in place this stays for good: a function's thread cannot be ended from outside, and
must never see this process's own credentials.
"""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn, Protocol

from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.functions import offline

# Events of https://docs.python.org/3/library/audit_events.html whose effect would be on
# all that runs in this process, or would be under this process's own environment.
_REFUSED: Final = frozenset(
    {
        "os.chdir",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.killpg",
        "os.posix_spawn",
        "os.putenv",
        "os.spawn",
        "os.system",
        "os.unsetenv",
        "resource.setrlimit",
        "signal.pthread_kill",
        "subprocess.Popen",
    }
)


class Inhabitant(Protocol):
    """What runs in threads of its own."""

    environment: dict[bytes, bytes]
    """Its environment variables."""

    def logger(self, name: str) -> logging.Logger:
        """Give its own logger of that name."""

    def tell_error(self, thread: threading.Thread, error: BaseException) -> None:
        """Write the exception that ended a thread."""


class _Here(threading.local):
    inhabitant: Inhabitant | None = None


_here = _Here()
_installing = threading.Lock()
_installed = False


@contextlib.contextmanager
def inside(inhabitant: Inhabitant | None) -> Iterator[None]:
    """Work as an inhabitant, in this thread and those that it starts.

    Args:
        inhabitant: Whose work it is; None for that of the process itself.
    """
    _install()
    before = _here.inhabitant
    _here.inhabitant = inhabitant
    try:
        yield
    finally:
        _here.inhabitant = before


class _Environ(os._Environ[Any]):
    """`os.environ`, or `os.environb`, which is another one in each function."""

    @property
    def _data(self) -> dict[bytes, bytes]:
        inhabitant = _here.inhabitant
        if inhabitant is None:
            data: dict[bytes, bytes] = vars(self)["_data"]
            return data
        return inhabitant.environment

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401
        if _here.inhabitant is None:
            super().__setitem__(key, value)
        else:
            self._data[self.encodekey(key)] = self.encodevalue(value)

    def __delitem__(self, key: Any) -> None:  # noqa: ANN401
        if _here.inhabitant is None:
            super().__delitem__(key)
        elif key in self:
            del self._data[self.encodekey(key)]
        else:
            raise KeyError(key)


def _install() -> None:
    global _installed
    with _installing:
        if not _installed:
            for environ in (os.environ, os.environb):
                environ.__class__ = _Environ
            _pass_on_to_threads()
            _lead_logs()
            _look_out()
            _installed = True


def _pass_on_to_threads() -> None:
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        inhabitant = _here.inhabitant
        if inhabitant is not None:
            thread.run = _run_for(inhabitant, thread)  # type: ignore[method-assign]
        original(thread)

    threading.Thread.start = start  # type: ignore[assignment,method-assign]


def start_new_thread(
    function: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
) -> int | None:
    """Take the place of `_thread.start_new_thread`, with what its starter sees."""
    thread = threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True)
    thread.start()
    return thread.ident


def _run_for(inhabitant: Inhabitant, thread: threading.Thread) -> Callable[[], None]:
    work = thread.run

    def run() -> None:
        with inside(inhabitant):
            try:
                work()
            except SystemExit:
                pass
            except BaseException as error:
                # Not to this process's hook for errors of threads, and without us.
                if error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next
                inhabitant.tell_error(thread, error)

    return run


def _lead_logs() -> None:
    is_enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

    def is_enabled_here(logger: logging.Logger, level: int) -> bool:
        inhabitant = _here.inhabitant
        if inhabitant is None:
            return is_enabled(logger, level)
        return inhabitant.logger(logger.name).isEnabledFor(level)

    def handle_here(logger: logging.Logger, record: logging.LogRecord) -> None:
        inhabitant = _here.inhabitant
        if inhabitant is None:
            handle(logger, record)
        else:
            inhabitant.logger(logger.name).handle(record)

    logging.Logger.isEnabledFor = is_enabled_here  # type: ignore[assignment,method-assign]
    logging.Logger.handle = handle_here  # type: ignore[assignment,method-assign]


def _look_out() -> None:
    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if _here.inhabitant is None:
            return
        if event in _REFUSED:
            refuse(event)
        offline.check(event, arguments)

    sys.addaudithook(look)


def refuse(name: str) -> NoReturn:
    """Refuse what cannot be done within this process.

    Raises:
        LocalAwsError: Always.
    """
    raise LocalAwsError(
        f"{name} would act on the whole process that runs this function and others; "
        "run functions in processes of their own: LocalAws(in_process=False)"
    )
