"""JSONata as Step Functions has it: what it lacks is refused, what it adds is here.

The language is JSONata 2.0.6 without `$eval`, plus `$partition`, `$range`, `$hash`,
`$random`, `$uuid` and `$parse`:
https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
"""

import functools
import hashlib
import json
import math
import random
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

from cdk_personalize_segments.local.jsonata_corrections import (
    CORRECTIONS,
    CorrectedJsonata,
    UnsupportedPatternError,
    compile_pattern,
)
from cdk_personalize_segments.local.untyped import Json

# A node of a parsed expression; the library has no types.
_Node: TypeAlias = Any

_LONGEST_SECONDS: Final = 5
ADDED: Final = frozenset({"hash", "parse", "partition", "random", "range", "uuid"})
"""The functions that Step Functions adds to those of JSONata."""
_NOT_ON_AWS: Final = frozenset({"eval"})
# What JSONata has too, but with another clock, another chance.
_REPLACED: Final = frozenset({"millis", "now", "shuffle"})
_OWN: Final = ADDED | _REPLACED
_NAMES: Final = re.compile(r"\$(\w+)")
_PLAIN_PATH: Final = re.compile(r"\$[A-Za-z_]\w*(\.(?!(and|in|or)\b)[A-Za-z_]\w*)*")
_UNKNOWN: Final = object()
# Without a function of its own, an expression always comes to an end.
_MAY_RUN_AWAY: Final = re.compile("function|λ")
# What the library has beyond the language, for its own use.
_INTERNAL: Final = frozenset({"clone"})
FUNCTIONS: Final = (
    frozenset(Jsonata.static_frame.bindings) - _NOT_ON_AWS - _INTERNAL
) | ADDED
"""The functions that expressions can call, without their `$`."""
_HASHES: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}
# The parts of a parsed expression that can hold others.
_PARTS: Final = (
    "steps",
    "procedure",
    "arguments",
    "body",
    "lhs",
    "rhs",
    "expression",
    "expressions",
    "condition",
    "then",
    "_else",
    "predicate",
    "stages",
    "group",
    "lhs_object",
    "terms",
    "pattern",
    "update",
    "delete",
    "expr",
)


class UnsupportedExpressionError(Exception):
    """An expression cannot be used; the text says why."""


class EvaluationError(Exception):
    """An expression failed, or gave what JSON cannot say; the text says why."""


class Undefined(Exception):  # noqa: N818
    """An expression returned nothing."""


def check(text: str, *, in_catch: bool = False) -> None:
    """Check an expression as Step Functions does when a machine is created.

    Args:
        text: The expression, without `{%` and `%}`.
        in_catch: Whether it stands in a Catch, where `$states.errorOutput` exists.

    Raises:
        UnsupportedExpressionError: It does not parse, or names what is not there.
    """
    try:
        tree = CorrectedJsonata(text, compile_pattern).ast
    except (JException, UnsupportedPatternError, re.error) as error:
        raise UnsupportedExpressionError(f"it cannot be parsed: {error}") from None
    _check_node(tree, frozenset(), in_catch=in_catch, top=True)


def evaluate(
    text: str, variables: Mapping[str, Any], now: datetime, chance: random.Random
) -> Json:
    """Evaluate an expression.

    Args:
        text: The expression, without `{%` and `%}`.
        variables: What its `$names` stand for, as JSON values.
        now: What `$now()` and `$millis()` tell.
        chance: Where `$random()`, `$uuid()` and `$shuffle()` take theirs from.

    Returns:
        A JSON value.

    Raises:
        EvaluationError: It failed.
        Undefined: It returned nothing.
    """
    if _PLAIN_PATH.fullmatch(text):
        value = _looked_up(text, variables)
        if value is not _UNKNOWN:
            return _as_json(value)
    expression, names = _parsed(text)
    if _MAY_RUN_AWAY.search(text):
        expression.environment.set_runtime_bounds(_LONGEST_SECONDS * 1000, None)
    # Only what it may ask for: most of the time goes into what it is not asked for.
    bindings: dict[str, Any] = {
        name: Utils.NULL_VALUE if variables[name] is None else variables[name]
        for name in names & variables.keys()
    }
    # A variable hides a function of its name.
    for name in (names & CORRECTIONS.keys()) - bindings.keys():
        bindings[name] = CORRECTIONS[name]
    wanted = (names & _OWN) - bindings.keys()
    if wanted:
        functions = _functions(now, chance)
        for name in wanted:
            bindings[name] = Jsonata.JLambda(functions[name])
    try:
        result = expression.evaluate(None, bindings)
    except ZeroDivisionError:
        raise EvaluationError("it divides by zero") from None
    except RecursionError:
        raise EvaluationError("it recurses too deeply") from None
    # The library lets errors of many kinds out.
    except Exception as error:
        raise EvaluationError(str(error)) from error
    if result is None:
        raise Undefined
    return _as_json(result)


def _looked_up(path: str, variables: Mapping[str, Any]) -> Json:
    """Follow a path like `$states.input.name` through objects.

    That is what most expressions are, and much quicker than to evaluate them. What is
    not plain, such as a list on the way or a name that is not there, is `_UNKNOWN`.
    """
    name, *fields = path[1:].split(".")
    value = variables.get(name, _UNKNOWN)
    for field in fields:
        if not isinstance(value, dict):
            return _UNKNOWN
        value = value.get(field, _UNKNOWN)
    return value


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[Jsonata, frozenset[str]]:
    """Parse an expression, and name all variables and functions that it may use."""
    expression = CorrectedJsonata(text, compile_pattern)
    expression.set_output_convert_nulls(False)
    expression.set_validate_input(False)
    return expression, frozenset(_NAMES.findall(text))


def _as_json(value: Json) -> Json:
    if value is None or value is Utils.NULL_VALUE:
        return None
    if isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationError(f"{value} is not a number that JSON can say")
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_as_json(each) for each in value]
    raise EvaluationError("it returned a function")


def _functions(now: datetime, chance: random.Random) -> dict[str, Callable[..., Any]]:
    milliseconds = round(now.timestamp() * 1000)

    def written(picture: str | None = None, timezone: str | None = None) -> Json:
        return Functions.datetime_from_millis(milliseconds, picture, timezone)

    return {
        "now": written,
        "millis": lambda: milliseconds,
        "random": lambda *seed: (random.Random(*seed) if seed else chance).random(),  # noqa: S311
        "shuffle": lambda items: items and chance.sample(items, len(items)),
        "uuid": lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "hash": _hash,
        "parse": _parse,
        "partition": _partition,
        "range": _range,
    }


def _hash(text: str | None, algorithm: str | None = None) -> str | None:
    if text is None or algorithm is None:
        return None
    if algorithm not in _HASHES:
        raise EvaluationError(f"$hash knows {', '.join(_HASHES)}, not {algorithm!r}")
    return hashlib.new(_HASHES[algorithm], text.encode()).hexdigest()


def _parse(text: str | None) -> Json:
    if text is None:
        return None
    value = json.loads(text)
    return Utils.NULL_VALUE if value is None else value


def _partition(items: Json, size: float | None = None) -> list[Any] | None:
    if items is None or not size or int(size) < 1:
        return None
    every = items if isinstance(items, list) else [items]
    step = int(size)
    return [every[at : at + step] for at in range(0, len(every), step)] or None


def _range(start: float, end: float, step: float | None = None) -> list[int] | None:
    if not step or not int(step):
        return None
    towards = 1 if step > 0 else -1
    return list(range(int(start), int(end) + towards, int(step))) or None


def _check_node(
    node: _Node, known: frozenset[str], *, in_catch: bool, top: bool
) -> None:
    """Check one node and what is in it.

    Args:
        node: The node.
        known: The names that the expression itself has given.
        in_catch: Whether `$states.errorOutput` exists.
        top: Whether a bare name would read the context item, which does not exist.
    """
    if node.type == "block":
        for each in node.expressions:
            _check_node(each, known, in_catch=in_catch, top=top)
            if each.type == "bind":
                known = known | {each.lhs.value}
        return
    if node.type == "bind":
        # A function may call itself by the name it is given.
        known = known | {node.lhs.value}
        _check_node(node.rhs, known, in_catch=in_catch, top=top)
        return
    if node.type == "lambda":
        known = known | {argument.value for argument in node.arguments}
        _check_node(node.body, known, in_catch=in_catch, top=top)
        return
    _check_itself(node, known, top=top)
    if node.type == "path":
        _check_path(node, known, in_catch=in_catch, top=top)
        return
    for part, each in _children(node):
        inside = top and part not in ("predicate", "stages", "group", "terms")
        _check_node(each, known, in_catch=in_catch, top=inside)


def _check_path(
    path: _Node, known: frozenset[str], *, in_catch: bool, top: bool
) -> None:
    names = [step.value for step in path.steps[:2]]
    if names == ["states", "errorOutput"] and not in_catch:
        raise UnsupportedExpressionError(
            "$states.errorOutput exists only in the Output and Assign of a Catch"
        )
    for position, step in enumerate(path.steps):
        known = known | {
            name
            for name in (getattr(step, "focus", None), getattr(step, "index", None))
            if isinstance(name, str)
        }
        _check_node(step, known, in_catch=in_catch, top=top and position == 0)
    if getattr(path, "group", None) is not None:
        for _, each in _children(path.group):
            _check_node(each, known, in_catch=in_catch, top=False)


def _check_itself(node: _Node, known: frozenset[str], *, top: bool) -> None:
    if node.type == "variable" and node.value not in known:
        if top and node.value in ("", "$"):
            raise UnsupportedExpressionError(
                f"reference to '${node.value}' at the top level is not supported"
            )
        if node.value in _NOT_ON_AWS:
            raise UnsupportedExpressionError(f"Step Functions has no ${node.value}")
    if top and node.type in ("name", "wildcard", "descendant"):
        raise UnsupportedExpressionError(
            f"reference to '{node.value}' at the top level is not supported; "
            "write $states.input or a variable"
        )
    if node.type in ("function", "partial") and node.procedure.type == "variable":
        name = node.procedure.value
        if name not in known | FUNCTIONS:
            raise UnsupportedExpressionError(f"there is no function ${name}")
    if node.type == "function" and _replaces_by_function(node):
        raise UnsupportedExpressionError(
            "local AWS cannot replace by a function; give $replace a text, with $1 and "
            "so on for groups"
        )
    if node.type == "condition" and _is_newer_operator(node):
        raise UnsupportedExpressionError(
            "?: and ?? are newer than the JSONata 2.0.6 of Step Functions"
        )


def _replaces_by_function(node: _Node) -> bool:
    """Tell whether it is a $replace whose replacement is written as a function."""
    return node.procedure.value == "replace" and any(
        argument.type in ("lambda", "partial")
        or (argument.type == "variable" and argument.value in FUNCTIONS)
        for argument in node.arguments
    )


def _is_newer_operator(node: _Node) -> bool:
    """Tell whether a condition was written as `a ?: b` or `a ?? b`."""
    asked = node.condition
    return node.then is asked or (
        asked.type == "function" and any(each is node.then for each in asked.arguments)
    )


def _children(node: _Node) -> Iterator[tuple[str, _Node]]:
    for part in _PARTS:
        for each in _flat(getattr(node, part, None)):
            yield part, each


def _flat(value: _Node) -> Iterator[_Node]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _flat(each)
    elif hasattr(value, "type"):
        yield value
