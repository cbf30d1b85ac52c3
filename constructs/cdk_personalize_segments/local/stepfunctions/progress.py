"""How far states have come, so that a redrive goes on from there."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cdk_personalize_segments.local.untyped import Json


@dataclass
class Scope:
    """The variables of a machine's states, or of one iteration or branch."""

    outer: "Scope | None" = None
    own: dict[str, Any] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, Any]:
        """All variables that can be read here."""
        return {**(self.outer.variables if self.outer else {}), **self.own}


@dataclass
class Progress:
    """The states of an execution, a branch or an iteration, as far as they are run.

    Attributes:
        state: The state that is entered next, or that is at work.
        input: Its input; at the end, the output of the last state.
        scope: The variables.
        ended: Whether the last state has been left.
        running: Whether its states are being run.
        entered: The id of the event with which the state was entered, or None if it
            was not yet.
        entered_at: When that was.
        inner: The chains inside of the state, by branch or iteration.
        items: The items of a Map state, once they are known.
        map_run: The Map Run of a Distributed Map state, once it is started.
    """

    state: str
    input: Json
    scope: Scope
    ended: bool = False
    running: bool = False
    entered: int | None = None
    entered_at: datetime | None = None
    inner: dict[int, "Progress"] = field(default_factory=dict)
    items: list[Any] | None = None
    map_run: Any = None

    def leave(self, next_state: str | None, output: Json) -> None:
        """Go on after the state at work.

        Args:
            next_state: The next one, or None at the end.
            output: The output of the one that is left.
        """
        self.ended = next_state is None
        self.state = next_state or self.state
        self.input = output
        self.entered = self.entered_at = None
        self.forget()

    def forget(self) -> None:
        """Have the state at work begin anew."""
        self.inner = {}
        self.items = None
        self.map_run = None
