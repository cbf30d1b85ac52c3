"""What a state sees: its input, its variables and the context of its execution."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cdk_personalize_segments.local import jsonata
from cdk_personalize_segments.local.clock import Clock
from cdk_personalize_segments.local.stepfunctions.checks import expression
from cdk_personalize_segments.local.stepfunctions.errors import (
    DATA_LIMIT_EXCEEDED,
    QUERY_EVALUATION_ERROR,
    RUNTIME,
    StateError,
)
from cdk_personalize_segments.local.stepfunctions.history import Branch
from cdk_personalize_segments.local.stepfunctions.progress import Progress, Scope
from cdk_personalize_segments.local.untyped import Json

LONGEST_PAYLOAD: Final = 256 * 1024
"""Bytes that an input, an output or a variable may have."""

_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}


@dataclass
class Visit:
    """One visit to a state.

    Attributes:
        name: The state's name.
        state: Its definition.
        input: Its input.
        scope: The variables that it reads and assigns.
        branch: The chain of events that it belongs to.
        context: The context object.
        entered: The id of the event of its entry.
        progress: How far it has come.
    """

    name: str
    state: Mapping[str, Any]
    input: Json
    scope: Scope
    branch: Branch
    context: dict[str, Any]
    entered: int
    progress: Progress


class Evaluator:
    """Evaluates the fields of the states of one execution."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        """Prepare to evaluate.

        Args:
            clock: Tells the time.
            chance: Where chance comes from.
        """
        self._clock = clock
        self._chance = chance

    def value(self, visit: Visit, said: Json, place: str, **states: Json) -> Json:
        """Evaluate every expression in a field.

        Args:
            visit: The visit that it is evaluated for.
            said: What the definition says.
            place: The field, as causes name it.
            **states: What `$states` has besides input and context.

        Raises:
            EvaluationFailedError: An expression failed or returned nothing.
        """
        return evaluate(said, place, visit, self._clock.now(), self._chance, **states)

    def typed(self, visit: Visit, field: str, kind: str, default: Json) -> Json:
        """Evaluate a field of a state that must have some type.

        Args:
            visit: The visit that it is evaluated for.
            field: The field, with the fields that it is in: `ReaderConfig/MaxItems`.
            kind: One of array, boolean, integer, number, object, string.
            default: What it is if the definition does not say.

        Raises:
            EvaluationFailedError: It has another type, or no value.
        """
        said: Any = visit.state
        for part in field.split("/"):
            said = said.get(part, default if part == field.split("/")[-1] else {})
        return expect(self.value(visit, said, field), kind, said, field, visit)

    def items(self, visit: Visit) -> list[Any]:
        """Evaluate the items of a Map state.

        Args:
            visit: The visit to it.

        Raises:
            EvaluationFailedError: They are not a list.
        """
        said = visit.state.get("Items")
        value = visit.input
        if "Items" in visit.state:
            value = self.value(visit, said, "Items")
        items: list[Any] = expect(value, "array", said, "Items", visit)
        return items

    def selected(self, visit: Visit, index: int, item: Json) -> Json:
        """Evaluate what an iteration of a Map state gets.

        Args:
            visit: The visit to the Map state.
            index: The position of the item.
            item: The item.

        Raises:
            EvaluationFailedError: An expression failed or returned nothing.
        """
        if "ItemSelector" not in visit.state:
            return item
        context = {**visit.context, "Map": {"Item": {"Index": index, "Value": item}}}
        inside = replace(visit, context=context)
        return self.value(inside, visit.state["ItemSelector"], "ItemSelector")

    def whole(self, visit: Visit, field: str, least: int, most: int) -> int:
        """Evaluate a field that must be a whole number within bounds.

        Args:
            visit: The visit that it is evaluated for.
            field: The field.
            least: The smallest number allowed, which is also what it is if the
                definition does not say.
            most: The largest number allowed.

        Raises:
            EvaluationFailedError: It is something else.
        """
        value: int = self.typed(visit, field, "integer", least)
        if not least <= value <= most:
            raise out_of_range(
                visit, field, f"must be from {least} to {most}, not {value}"
            )
        return value


class EvaluationFailedError(StateError):
    """An expression of a state failed.

    Attributes:
        location: The field that holds it.
    """

    def __init__(self, cause: str, location: str) -> None:
        """Describe the failure.

        Args:
            cause: What went wrong.
            location: The field that holds the expression.
        """
        super().__init__(QUERY_EVALUATION_ERROR, cause)
        self.location = location


def evaluate(
    value: Json,
    place: str,
    visit: Visit,
    now: datetime,
    chance: random.Random,
    **states: Json,
) -> Json:
    """Evaluate every expression in a field.

    Args:
        value: What the definition says.
        place: The field, as causes name it: `Arguments/Payload/now`.
        visit: The visit that it is evaluated for.
        now: The virtual time.
        chance: Where chance comes from.
        **states: What `$states` has besides input and context.

    Raises:
        EvaluationFailedError: An expression failed or returned nothing.
    """
    if isinstance(value, dict):
        return {
            key: evaluate(each, f"{place}/{key}", visit, now, chance, **states)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [
            evaluate(each, f"{place}[{position}]", visit, now, chance, **states)
            for position, each in enumerate(value)
        ]
    text = expression(value)
    if text is None:
        return value
    variables = {
        **visit.scope.variables,
        "states": {"input": visit.input, "context": visit.context, **states},
    }
    said = f"The JSONata expression '{text}' specified for the field '{place}'"
    try:
        return jsonata.evaluate(text, variables, now, chance)
    except jsonata.Undefined:
        cause = f"{said} returned nothing (undefined)."
    except jsonata.EvaluationError as error:
        cause = f"{said} threw an error during evaluation. {error}"
    raise EvaluationFailedError(entered(visit, cause), place)


def expect(value: Json, kind: str, said: Json, place: str, visit: Visit) -> Json:
    """Check the type of what a field's expression returned.

    Args:
        value: What it returned.
        kind: One of array, boolean, integer, number, object, string.
        said: What the definition says.
        place: The field.
        visit: The visit that it was evaluated for.

    Raises:
        EvaluationFailedError: It has another type.
    """
    right = isinstance(value, _KINDS[kind])
    if right and not (kind in ("integer", "number") and isinstance(value, bool)):
        return value
    raise EvaluationFailedError(
        entered(
            visit,
            f"The JSONata expression '{expression(said) or said}' specified for the "
            f"field '{place}' returned an unexpected result type. Expected '{kind}', "
            f"but was '{_kind_of(value)}' for value: {written(value)}",
        ),
        place,
    )


def out_of_range(visit: Visit, place: str, why: str) -> EvaluationFailedError:
    """Give the failure of a field whose value cannot be used.

    Args:
        visit: The visit that it was evaluated for.
        place: The field.
        why: What it must be, and what it is.
    """
    return EvaluationFailedError(
        entered(visit, f"The value of the field '{place}' {why}."), place
    )


def entered(visit: Visit, cause: str) -> str:
    """Say where a cause comes from, as Step Functions does."""
    return (
        f"An error occurred while executing the state '{visit.name}' "
        f"(entered at the event id #{visit.entered}). {cause}"
    )


def written(value: Json) -> str:
    """Write a JSON value as Step Functions passes it on."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sized(value: Json, what: str) -> Json:
    """Check that a value is not too large to be passed on.

    Args:
        value: A JSON value.
        what: What returned it.

    Raises:
        StateError: It has more bytes than the limit, or characters that are none.
    """
    try:
        size = len(written(value).encode())
    except UnicodeEncodeError as error:
        # With which error AWS fails is not documented.
        raise StateError(
            RUNTIME, f"The state/task '{what}' returned no JSON: {error}"
        ) from None
    if size > LONGEST_PAYLOAD:
        raise StateError(
            DATA_LIMIT_EXCEEDED,
            f"The state/task '{what}' returned a result with a size exceeding the "
            "maximum number of bytes service limit.",
        )
    return value


def _kind_of(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        return "number"
    if isinstance(value, bool):
        return "boolean"
    return next(kind for kind, each in _KINDS.items() if isinstance(value, each))
