"""What a function's runtime runs in, and what it is given there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cdk_personalize_segments.local.functions.runtime_api import RuntimeApi


@dataclass(frozen=True)
class Setup:
    """What a function has around it.

    Attributes:
        code: The folder of its code.
        libraries: The folder of what a runtime has besides.
        environment: Its variables.
        log: Is told each line that it writes.
    """

    code: Path
    libraries: Path
    environment: Mapping[str, str]
    log: Callable[[str], None]

    @property
    def path(self) -> list[str]:
        """Where its modules are looked for before the standard library."""
        return [str(self.code), str(self.libraries)]


class Host(Protocol):
    """What a runtime runs in."""

    @property
    def api(self) -> RuntimeApi:
        """Where it takes its events from."""

    def exit_status(self) -> int | None:
        """Tell how it ended: below 0 by a signal; None if it runs."""

    def most_bytes(self) -> int:
        """Tell how much memory it has taken at most; 0 where that cannot be told."""

    def drain(self) -> None:
        """Wait until what it has written is logged."""

    def close(self) -> None:
        """End it."""
