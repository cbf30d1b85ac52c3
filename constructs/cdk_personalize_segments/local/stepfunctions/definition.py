"""Checks definitions of state machines: what would not run as on AWS is refused.

Local AWS runs JSONata states. Whatever a definition says beyond what is listed here is
refused by the name of the state and of the field, never ignored.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cdk_personalize_segments.local.stepfunctions.checks import (
    LONGEST_WAIT,
    InvalidDefinitionError,
    check_expressions,
    check_fields,
    check_whole,
    expression,
    is_one_of,
    is_whole,
    read_timestamp,
    wrong,
)
from cdk_personalize_segments.local.stepfunctions.integrations import (
    INTEGRATIONS,
    WAIT_FOR_TOKEN,
)
from cdk_personalize_segments.local.stepfunctions.json_texts import read_json
from cdk_personalize_segments.local.stepfunctions.map_definition import (
    DISTRIBUTED_FIELDS,
    check_mode,
    is_distributed,
)
from cdk_personalize_segments.local.untyped import Json

_LONGEST_NAME: Final = 80
_LONGEST_DELAY: Final = 31_622_399
_LANGUAGE: Final = "JSONata"

MACHINE_FIELDS: Final = frozenset(
    {"Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"}
)
"""The fields of a definition itself that are honoured."""
_ANY: Final = frozenset({"Type", "Comment", "QueryLanguage"})
_ONWARD: Final = frozenset({"Next", "End", "Output", "Assign"})
_CAUTIOUS: Final = frozenset({"Retry", "Catch"})
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "Choice": _ANY | {"Choices", "Default", "Output", "Assign"},
    "Fail": _ANY | {"Error", "Cause"},
    "Map": _ANY
    | _ONWARD
    | _CAUTIOUS
    | {"Items", "ItemSelector", "ItemProcessor", "MaxConcurrency"}
    | DISTRIBUTED_FIELDS,
    "Parallel": _ANY | _ONWARD | _CAUTIOUS | {"Arguments", "Branches"},
    "Pass": _ANY | _ONWARD,
    "Succeed": _ANY | {"Output"},
    "Task": _ANY
    | _ONWARD
    | _CAUTIOUS
    | {"Arguments", "HeartbeatSeconds", "Resource", "TimeoutSeconds"},
    "Wait": _ANY | _ONWARD | {"Seconds", "Timestamp"},
}
"""The fields of each type of state that are honoured; all others are refused."""
_NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "Choice": frozenset({"Choices"}),
    "Map": frozenset({"ItemProcessor"}),
    "Parallel": frozenset({"Branches"}),
    "Task": frozenset({"Arguments", "Resource"}),
}
_CHOICE: Final = frozenset({"Condition", "Next", "Output", "Assign", "Comment"})
CATCHER_FIELDS: Final = frozenset(
    {"ErrorEquals", "Next", "Output", "Assign", "Comment"}
)
"""The fields of a rule in Catch that are honoured."""
RETRIER_FIELDS: Final = frozenset(
    {
        "BackoffRate",
        "Comment",
        "ErrorEquals",
        "IntervalSeconds",
        "JitterStrategy",
        "MaxAttempts",
        "MaxDelaySeconds",
    }
)
"""The fields of a rule in Retry that are honoured."""
# Fields that hold expressions, at the state itself.
_EVALUATED: Final = (
    "Arguments",
    "Assign",
    "Cause",
    "Error",
    "HeartbeatSeconds",
    "ItemSelector",
    "Items",
    "MaxConcurrency",
    "Output",
    "Seconds",
    "TimeoutSeconds",
    "Timestamp",
)
_PROCESSOR: Final = frozenset({"Comment", "ProcessorConfig", "StartAt", "States"})
_BRANCH: Final = frozenset({"Comment", "StartAt", "States"})


@functools.lru_cache(maxsize=256)
def parse(text: str) -> dict[str, Any]:
    """Parse and check a definition.

    Args:
        text: The definition in Amazon States Language.

    Returns:
        The definition, which nobody may change.

    Raises:
        InvalidDefinitionError: It is wrong, or uses what local AWS does not run.
    """
    try:
        machine = read_json(text)
    except ValueError as error:
        raise InvalidDefinitionError("INVALID_JSON_DESCRIPTION", str(error)) from None
    if not isinstance(machine, dict):
        raise InvalidDefinitionError("INVALID_JSON_DESCRIPTION", "it is not an object")
    _Check(str(machine.get("QueryLanguage", "JSONPath"))).machine(machine)
    return machine


def states_of(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give all states, also those inside of others.

    Args:
        holder: A checked definition, or a part of one that has `States`.
    """
    for state in holder["States"].values():
        yield state
        for inner in [*state.get("Branches", []), state.get("ItemProcessor")]:
            if inner is not None:
                yield from states_of(inner)


class _Check:
    """One check of one definition."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._names: set[str] = set()

    def machine(self, machine: Mapping[str, Any]) -> None:
        check_fields(machine, MACHINE_FIELDS, "")
        if self._language not in ("JSONPath", _LANGUAGE):
            raise wrong(f"there is no QueryLanguage {self._language!r}", "")
        timeout = machine.get("TimeoutSeconds")
        if timeout is not None and not is_whole(timeout, 1, LONGEST_WAIT):
            raise wrong(
                f"TimeoutSeconds must be a whole number from 1 to {LONGEST_WAIT}", ""
            )
        if machine.get("Version", "1.0") != "1.0":
            raise wrong("Version is 1.0", "/Version")
        self._states(machine, "", frozenset())

    def _states(
        self, holder: Mapping[str, Any], place: str, outer: frozenset[str]
    ) -> None:
        states = holder.get("States")
        if not isinstance(states, dict) or not states:
            raise wrong("States must be an object with at least one state", place)
        if not is_one_of(holder.get("StartAt"), states):
            raise _missing(holder.get("StartAt"), f"{place}/StartAt")
        for name, state in states.items():
            _shape(state, f"{place}/States/{name}")
        assigned = {name for state in states.values() for name in _assigned(state)}
        for name in sorted(assigned & outer):
            raise wrong(
                f"variable '{name}' is assigned in an outer scope too", place or "/"
            )
        for name, state in states.items():
            at = f"{place}/States/{name}"
            self._name(name, at)
            self._state(state, at, outer | assigned)
            for target in _targets(state):
                if not is_one_of(target, states):
                    raise _missing(target, at)
        for name in sorted(set(states) - _reached(holder)):
            raise wrong(f"no way leads to state '{name}'", place or "/")

    def _name(self, name: str, at: str) -> None:
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise wrong(f"a state's name has 1 to {_LONGEST_NAME} characters", at)
        if name in self._names:
            raise wrong(f"there are two states '{name}'", at)
        self._names.add(name)

    def _state(self, state: Json, at: str, scope: frozenset[str]) -> None:
        kind = str(state.get("Type"))
        if kind not in FIELDS:
            raise wrong(f"local AWS has no states of type {kind!r}", f"{at}/Type")
        if state.get("QueryLanguage", self._language) != _LANGUAGE:
            raise wrong("local AWS runs states in JSONata only, not in JSONPath", at)
        check_fields(state, FIELDS[kind], at)
        for field in sorted(_NEEDED.get(kind, frozenset()) - set(state)):
            raise wrong(f"a {kind} state needs {field}", at)
        if "Next" in FIELDS[kind] and ("Next" in state) == (state.get("End") is True):
            raise wrong("a state has either Next or End, and End is true", at)
        for field in _EVALUATED:
            if field in state:
                check_expressions(state[field], f"{at}/{field}")
        self._retriers(state, at)
        self._catchers(state, at)
        if kind == "Choice":
            self._choices(state, at)
        elif kind == "Wait":
            _wait(state, at)
        elif kind == "Task":
            _task(state, at)
        elif kind == "Map":
            self._map(state, at, scope)
        elif kind == "Fail":
            _fail(state, at)
        elif kind == "Parallel":
            if not state["Branches"]:
                raise wrong("a Parallel state needs a branch", f"{at}/Branches")
            for position, branch in enumerate(state["Branches"]):
                place = f"{at}/Branches[{position}]"
                check_fields(branch, _BRANCH, place)
                self._states(branch, place, scope)

    def _map(self, state: Mapping[str, Any], at: str, scope: frozenset[str]) -> None:
        place = f"{at}/ItemProcessor"
        check_fields(state["ItemProcessor"], _PROCESSOR, place)
        check_mode(state, at)
        check_whole(state, "MaxConcurrency", 0, at)
        items = state.get("Items", [])
        if expression(items) is None and not isinstance(items, list):
            raise wrong("local AWS iterates over arrays only", f"{at}/Items")
        # Child executions do not see the variables of their parent.
        outer = frozenset() if is_distributed(state) else scope
        self._states(state["ItemProcessor"], place, outer)

    def _choices(self, state: Mapping[str, Any], at: str) -> None:
        if not state["Choices"]:
            raise wrong("Choices must be a list of rules", at)
        for position, rule in enumerate(state["Choices"]):
            place = f"{at}/Choices[{position}]"
            check_fields(rule, _CHOICE, place)
            for field in ("Condition", "Next"):
                if field not in rule:
                    raise wrong(f"a rule needs {field}", place)
            condition = rule["Condition"]
            if expression(condition) is None and not isinstance(condition, bool):
                raise wrong(
                    "Condition must be a boolean or an expression for one",
                    f"{place}/Condition",
                )
            for field in ("Condition", "Output", "Assign"):
                if field in rule:
                    check_expressions(rule[field], f"{place}/{field}")

    def _retriers(self, state: Mapping[str, Any], at: str) -> None:
        retriers = state.get("Retry", [])
        for position, retrier in enumerate(retriers):
            place = f"{at}/Retry[{position}]"
            check_fields(retrier, RETRIER_FIELDS, place)
            _error_names(retrier, place, last=position == len(retriers) - 1)
            _retry_numbers(retrier, place)

    def _catchers(self, state: Mapping[str, Any], at: str) -> None:
        catchers = state.get("Catch", [])
        for position, catcher in enumerate(catchers):
            place = f"{at}/Catch[{position}]"
            check_fields(catcher, CATCHER_FIELDS, place)
            _error_names(catcher, place, last=position == len(catchers) - 1)
            if "Next" not in catcher:
                raise wrong("a catcher needs Next", place)
            for field in ("Output", "Assign"):
                if field in catcher:
                    check_expressions(catcher[field], f"{place}/{field}", in_catch=True)


def _wait(state: Mapping[str, Any], at: str) -> None:
    if ("Seconds" in state) == ("Timestamp" in state):
        raise wrong("a Wait state has either Seconds or Timestamp", at)
    seconds = state.get("Seconds", 0)
    if expression(seconds) is None and not is_whole(seconds, 0, LONGEST_WAIT):
        raise wrong(
            f"Seconds must be a whole number from 0 to {LONGEST_WAIT}", f"{at}/Seconds"
        )
    timestamp = state.get("Timestamp")
    if timestamp is not None and expression(timestamp) is None:
        try:
            read_timestamp(timestamp)
        except ValueError as error:
            raise wrong(str(error), f"{at}/Timestamp") from None


def _fail(state: Mapping[str, Any], at: str) -> None:
    for field in ("Error", "Cause"):
        if not isinstance(state.get(field, ""), str):
            raise wrong(f"{field} must be a string", f"{at}/{field}")


def _task(state: Mapping[str, Any], at: str) -> None:
    if not is_one_of(state["Resource"], INTEGRATIONS):
        raise wrong(
            f"local AWS does not run tasks of {state['Resource']}; it runs those of "
            f"{', '.join(INTEGRATIONS)}",
            f"{at}/Resource",
        )
    integration = INTEGRATIONS[state["Resource"]]
    arguments = state["Arguments"]
    if expression(arguments) is None:
        check_fields(
            arguments, integration.arguments, f"{at}/Arguments", integration.needed
        )
    check_whole(state, "TimeoutSeconds", 1, at)
    if "HeartbeatSeconds" in state:
        check_whole(state, "HeartbeatSeconds", 1, at)
        if not state["Resource"].endswith(WAIT_FOR_TOKEN):
            raise wrong(
                f"HeartbeatSeconds is for tasks with {WAIT_FOR_TOKEN}",
                f"{at}/HeartbeatSeconds",
            )
        heartbeat, timeout = state["HeartbeatSeconds"], state.get("TimeoutSeconds")
        if is_whole(heartbeat, 1) and is_whole(timeout, 1) and heartbeat >= timeout:
            raise wrong(
                "HeartbeatSeconds must be less than TimeoutSeconds",
                f"{at}/HeartbeatSeconds",
            )


def _error_names(rule: Mapping[str, Any], at: str, *, last: bool) -> None:
    names = rule.get("ErrorEquals")
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) for name in names)
    ):
        raise wrong("ErrorEquals must be a list of error names", at)
    if "States.ALL" in names and (len(names) > 1 or not last):
        raise wrong("States.ALL must stand alone, and last", f"{at}/ErrorEquals")


def _retry_numbers(retrier: Mapping[str, Any], at: str) -> None:
    interval = retrier.get("IntervalSeconds", 1)
    for field, least, most in (
        ("IntervalSeconds", 1, LONGEST_WAIT),
        ("MaxAttempts", 0, LONGEST_WAIT),
        # Not shorter than the first delay, which has been checked by then.
        ("MaxDelaySeconds", interval, _LONGEST_DELAY),
    ):
        if field in retrier and not is_whole(retrier[field], least, most):
            raise wrong(
                f"{field} must be a whole number from {least} to {most}",
                f"{at}/{field}",
            )
    rate = retrier.get("BackoffRate", 2.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
        raise wrong("BackoffRate must be at least 1.0", f"{at}/BackoffRate")
    if retrier.get("JitterStrategy", "NONE") not in ("NONE", "FULL"):
        raise wrong("JitterStrategy is NONE or FULL", f"{at}/JitterStrategy")


def _shape(state: Json, at: str) -> None:
    """Check what a state is made of, so that it can be looked into."""
    if not isinstance(state, dict):
        raise wrong("a state must be an object", at)
    for field in ("Branches", "Catch", "Choices", "Retry"):
        rules = state.get(field, [])
        if not isinstance(rules, list) or not all(isinstance(r, dict) for r in rules):
            raise wrong("it must be a list of objects", f"{at}/{field}")
        for rule in rules:
            _assigns(rule, f"{at}/{field}")
    _assigns(state, at)


def _assigns(holder: Mapping[str, Json], at: str) -> None:
    if not isinstance(holder.get("Assign", {}), dict):
        raise wrong("it must be an object", f"{at}/Assign")
    for name in holder.get("Assign", {}):
        if not name.isidentifier() or len(name) > _LONGEST_NAME or name == "states":
            raise wrong(f"a variable cannot be called '{name}'", f"{at}/Assign")


def _assigned(state: Json) -> Iterator[str]:
    yield from state.get("Assign", {})
    for rules in ("Choices", "Catch"):
        for rule in state.get(rules, []):
            yield from rule.get("Assign", {})


def _reached(holder: Mapping[str, Any]) -> set[str]:
    """Name the states that can be reached from the start."""
    reached: set[str] = set()
    ahead = [holder["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += _targets(holder["States"][name])
    return reached


def _targets(state: Mapping[str, Any]) -> Iterator[str]:
    yield from (state[field] for field in ("Next", "Default") if field in state)
    for rules in ("Choices", "Catch"):
        yield from (rule["Next"] for rule in state.get(rules, []) if "Next" in rule)


def _missing(target: object, at: str) -> InvalidDefinitionError:
    return InvalidDefinitionError(
        "MISSING_TRANSITION_TARGET", f"there is no state {target!r}", at
    )
