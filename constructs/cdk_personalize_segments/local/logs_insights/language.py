"""The query language of Logs Insights: text in, commands out.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html.
Commands and functions that are not in `COMMANDS`, `FUNCTIONS` and `AGGREGATES` are
refused by name. `sort` must say asc or desc: which is meant without is not documented.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from cdk_personalize_segments.local.formulas import (
    Call,
    FormulaError,
    Grammar,
    Items,
    Name,
    Node,
    Operation,
    Reader,
    Regex,
    Text,
    walk,
)
from cdk_personalize_segments.local.logs_insights.aggregates import AGGREGATES
from cdk_personalize_segments.local.logs_insights.functions import FUNCTIONS

_GRAMMAR: Final = Grammar(
    tokens=re.compile(
        r"(?P<duration>\d+(?:ms|mo|[smhdwqy])\b)"
        r"|(?P<number>\d+(?:\.\d+)?)"
        r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
        r"|(?P<name>`[^`]+`|@{0,2}[A-Za-z_][\w@]*(?:\.[\w@]+)*)"
        r"|(?P<sign>=~|[!<>]=|[-+*/^%=<>(),\[\]|])"
    ),
    binary={
        "or": 1,
        "and": 2,
        **dict.fromkeys(("=", "!=", "<", "<=", ">", ">="), 4),
        **dict.fromkeys(("like", "not like", "=~", "in", "not in"), 4),
        **dict.fromkeys(("+", "-"), 5),
        **dict.fromkeys(("*", "/", "%"), 6),
        "^": 8,
    },
    prefix={"not": 3, "-": 7},
    has_regexes=True,
    ignores_case=True,
)
SYSTEM_FIELDS: Final = (
    "@ingestionTime",
    "@log",
    "@logStream",
    "@message",
    "@ptr",
    "@timestamp",
)
"""The fields that each event has; those that are discovered in text are not."""
DEFAULT_FIELDS: Final = ("@timestamp", "@message")
MOST_RESULTS: Final = 10_000
_MOST_STATS: Final = 2
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_GROUP: Final = re.compile(r"\(\?P?<([A-Za-z]\w*)>")
_FLAGS: Final = re.compile(r"\(\?([ims]+)\)")


class InsightsError(ValueError):
    """A query is malformed, or asks for what local AWS does not have."""


@dataclass(frozen=True)
class Column:
    """Something with a name.

    Attributes:
        name: What it is called.
        node: What it is.
    """

    name: str
    node: Node


@dataclass(frozen=True)
class Fields:
    """`fields`: shows columns, and lets later commands refer to them."""

    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Display:
    """`display`: shows these columns, and no others."""

    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Filter:
    """`filter`: keeps what the condition holds for."""

    condition: Node


@dataclass(frozen=True)
class Stats:
    """`stats`: sums up, in groups."""

    columns: tuple[Column, ...]
    by: tuple[Column, ...]


@dataclass(frozen=True)
class Sort:
    """`sort`: puts in order, each key with whether that is descending."""

    keys: tuple[tuple[Node, bool], ...]


@dataclass(frozen=True)
class Limit:
    """`limit`: keeps the first ones."""

    most: int


@dataclass(frozen=True)
class Parse:
    """`parse`: reads names' values out of a text."""

    source: Node
    pattern: re.Pattern[str]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Dedup:
    """`dedup`: keeps the first one of those with the same values."""

    columns: tuple[Column, ...]


Command: TypeAlias = Fields | Display | Filter | Stats | Sort | Limit | Parse | Dedup


def parse_query(text: str) -> list[Command]:
    """Read a query.

    Args:
        text: The query.

    Raises:
        InsightsError: It is malformed, or has what local AWS does not have.
    """
    query = _COMMENT.sub("", text)
    reader = _QueryReader(query)
    try:
        commands = reader.commands()
    except FormulaError as error:
        raise InsightsError(f"the query is malformed: {error}") from None
    if sum(isinstance(each, Stats) for each in commands) > _MOST_STATS:
        raise InsightsError(f"a query may have {_MOST_STATS} stats commands at most")
    _check_references(commands)
    return commands


class _QueryReader(Reader):
    """Reads commands."""

    def __init__(self, text: str) -> None:
        super().__init__(text, _GRAMMAR)

    def commands(self) -> list[Command]:
        commands: list[Command] = []
        if self.peek().kind == "end":
            raise InsightsError("the query has no commands")
        while True:
            commands.append(self._command())
            if self.peek().kind == "end":
                return commands
            self.expect("|")

    def _command(self) -> Command:
        if self.peek().kind == "end":
            raise self.error("expected a command")
        name = self.next().text
        if name.lower() not in COMMANDS:
            raise InsightsError(
                f"local AWS does not have the command {name} of Logs Insights; it has "
                f"{', '.join(COMMANDS)}"
            )
        return COMMANDS[name.lower()](self)

    def fields(self) -> Fields:
        return Fields(self._columns())

    def display(self) -> Display:
        return Display(self._columns())

    def dedup(self) -> Dedup:
        columns = self._columns()
        begins = self.take("|")
        if begins and self.word() != "limit":
            raise InsightsError("only limit may follow dedup")
        if begins:
            self._step_back()
        return Dedup(columns)

    def filter(self) -> Filter:
        return Filter(self.checked())

    def stats(self) -> Stats:
        columns = self._columns(aggregated=True)
        by = self._columns() if self.take("by") else ()
        return Stats(columns, by)

    def sort(self) -> Sort:
        keys = []
        while True:
            node = self.checked()
            if self.take("desc"):
                keys.append((node, True))
            elif self.take("asc"):
                keys.append((node, False))
            else:
                raise self.error("expected asc or desc")
            if not self.take(","):
                return Sort(tuple(keys))

    def limit(self) -> Limit:
        token = self.next()
        if token.kind != "number" or not token.text.isdecimal():
            raise self.error("expected a whole number before")
        most = int(token.text)
        if not 1 <= most <= MOST_RESULTS:
            raise InsightsError(f"limit must be from 1 to {MOST_RESULTS}, not {most}")
        return Limit(most)

    def parse(self) -> Parse:
        source: Node = Name("@message")
        if self.peek().kind == "name":
            source = Name(self.name())
            _check(source, aggregated=False)
        pattern = self.formula(100)
        names = self._names() if self.take("as") else ()
        if isinstance(pattern, Text):
            return Parse(source, _glob(pattern.value, names), names)
        if isinstance(pattern, Regex):
            compiled = compile_regex(pattern.value)
            found = tuple(compiled.groupindex)
            if not found or (names and names != found):
                raise InsightsError(
                    "the regular expression of parse must have named groups, which are "
                    "the names of what it reads"
                )
            return Parse(source, compiled, found)
        raise self.error("expected a text in quotes or a regular expression before")

    def _names(self) -> tuple[str, ...]:
        names = [self.name()]
        while self.take(","):
            names.append(self.name())
        return tuple(names)

    def _columns(self, *, aggregated: bool = False) -> tuple[Column, ...]:
        columns = []
        while True:
            began = self.peek().at
            node = self.checked(aggregated=aggregated)
            written = self._text[began : self._at].strip()
            own = node.value if isinstance(node, Name) else written
            columns.append(Column(self.name() if self.take("as") else own, node))
            if not self.take(","):
                return tuple(columns)

    def checked(self, *, aggregated: bool = False) -> Node:
        node = self.formula()
        _check(node, aggregated=aggregated)
        return node

    def _step_back(self) -> None:
        self._at = self._text.rindex("|", 0, self._at)


COMMANDS: Final[Mapping[str, Callable[[_QueryReader], Command]]] = {
    "dedup": _QueryReader.dedup,
    "display": _QueryReader.display,
    "fields": _QueryReader.fields,
    "filter": _QueryReader.filter,
    "limit": _QueryReader.limit,
    "parse": _QueryReader.parse,
    "sort": _QueryReader.sort,
    "stats": _QueryReader.stats,
}
"""The commands that local AWS has."""


def _check(node: Node, *, aggregated: bool) -> None:
    """Check the functions and operands of a formula."""
    for each in walk(node):
        if isinstance(each, Call):
            _check_call(each, aggregated=aggregated)
        if isinstance(each, Operation):
            _check_operation(each)


def _check_call(call: Call, *, aggregated: bool) -> None:
    known = {*FUNCTIONS, *(AGGREGATES if aggregated else ())}
    if call.function not in known:
        where = "stats" if aggregated else "this command"
        raise InsightsError(
            f"local AWS does not have the function {call.function} of Logs Insights in "
            f"{where}; it has {', '.join(sorted(known))}"
        )
    function = AGGREGATES.get(call.function) or FUNCTIONS[call.function]
    least, most = function.arguments
    if not least <= len(call.arguments) <= most:
        raise InsightsError(
            f"{call.function} takes {least} to {most} arguments, not "
            f"{len(call.arguments)}"
        )


def _check_operation(operation: Operation) -> None:
    if operation.operator in ("in", "not in"):
        if not isinstance(operation.operands[1], Items):
            raise InsightsError(f"{operation.operator} needs a list in brackets")
    elif operation.operator in ("like", "not like", "=~"):
        pattern = operation.operands[1]
        if isinstance(pattern, Regex):
            compile_regex(pattern.value)
        elif not isinstance(pattern, Text):
            raise InsightsError(
                f"{operation.operator} needs a text in quotes or a regular expression"
            )
    elif any(isinstance(each, Regex | Items) for each in operation.operands):
        raise InsightsError(
            f"{operation.operator} takes neither lists nor regular expressions"
        )


def compile_regex(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression as Logs Insights writes them.

    Args:
        pattern: What stands between the slashes.

    Raises:
        InsightsError: It is malformed.
    """
    flags = "".join(_FLAGS.findall(pattern))
    plain = _GROUP.sub(r"(?P<\1>", _FLAGS.sub("", pattern))
    try:
        return re.compile(f"(?{flags}){plain}" if flags else plain)
    except re.error as error:
        raise InsightsError(
            f"the regular expression /{pattern}/ is malformed: {error}"
        ) from None


def _glob(pattern: str, names: tuple[str, ...]) -> re.Pattern[str]:
    parts = pattern.split("*")
    if len(parts) != len(names) + 1:
        raise InsightsError(
            f"{pattern!r} has {len(parts) - 1} asterisks, and there are {len(names)} "
            "names after as"
        )
    # What an asterisk at the end stands for goes on to the end.
    holes = ["(.*?)"] * (len(names) - 1) + [
        "(.*)" if pattern.endswith("*") else "(.*?)"
    ]
    text = re.escape(parts[0])
    for hole, part in zip(holes, parts[1:], strict=False):
        text += hole + re.escape(part)
    return re.compile(text, re.DOTALL)


def _check_references(commands: Iterable[Command]) -> None:
    """Check what commands refer to.

    Of fields that begin with @, there are the system's and those that were made before.
    After stats, there is nothing but its columns.
    """
    made: set[str] = set(SYSTEM_FIELDS)
    only = False
    for command in commands:
        for node in _nodes(command):
            for each in walk(node):
                if isinstance(each, Name):
                    _check_name(each.value, made, only=only)
        if isinstance(command, Stats):
            made = {column.name for column in (*command.columns, *command.by)}
            only = True
        elif isinstance(command, Fields | Display):
            made |= {column.name for column in command.columns}
        elif isinstance(command, Parse):
            made |= set(command.names)


def _check_name(name: str, made: set[str], *, only: bool) -> None:
    if only and name not in made:
        raise InsightsError(
            f"after stats there is no field {name}; there are {', '.join(sorted(made))}"
        )
    is_system = name.startswith("@") and not name.startswith("@@")
    if is_system and name not in made:
        raise InsightsError(
            f"local AWS does not discover the field {name}; it has "
            f"{', '.join(SYSTEM_FIELDS)}"
        )


def _nodes(command: Command) -> list[Node]:
    if isinstance(command, Fields | Display | Dedup):
        return [column.node for column in command.columns]
    if isinstance(command, Stats):
        return [column.node for column in (*command.columns, *command.by)]
    if isinstance(command, Filter):
        return [command.condition]
    if isinstance(command, Sort):
        return [node for node, _ in command.keys]
    return [command.source] if isinstance(command, Parse) else []
