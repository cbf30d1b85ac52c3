"""What a job reads and writes: input files to lines of output.

Where no source says what the service does, the emulated one decides for itself:

* an item that the data does not have: an error on the query's line;
* an attribute column that the data does not have: an error on the query's line;
* an attribute value that no item has, or an item that nobody likes: no users;
* a line that is not a JSON object, or too many queries in a file: the job fails;
* several input files: one output each, named after the file without its folders;
  the job fails if two have the same name;
* the whole query is echoed, `filterValues` included.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cdk_personalize_segments._runtime import expressions, limits
from cdk_personalize_segments.local.personalize import filters
from cdk_personalize_segments.local.personalize.resources import Filter, SolutionVersion

Shape = Literal["observed", "documented"]
Distortion = Literal["reversed", "duplicated", "extra keys", "no output"]
# The members of a line of output, as JSON text, in their order.
Line = dict[str, str]
QUERY_KEYS: Final = {
    limits.ITEM_AFFINITY: "itemId",
    limits.ITEM_ATTRIBUTE_AFFINITY: "itemAttributes",
}


class JobFailedError(Exception):
    """The job ends with CREATE FAILED; the text is the reason."""


class QueryFailedError(Exception):
    """One query gets no segment; the text goes into its line's `error`."""


@dataclass(frozen=True)
class InputFile:
    """An input file as it was when the job began.

    Attributes:
        key: Its S3 key.
        content: Its bytes.
    """

    key: str
    content: bytes

    @property
    def output_name(self) -> str:
        """The name of the file with its segments."""
        return f"{self.key.rpartition('/')[2]}.out"


@dataclass(frozen=True)
class Segmenter:
    """Answers the queries of one job.

    Attributes:
        version: The model.
        num_results: Users per segment at most.
        filter: What users must pass.
        errors: Texts for queries that are made to fail, by item or expression.
        dropped: Queries that are left out of the output.
        shape: Lines as real jobs wrote them, or as the developer guide shows them.
        distortions: Names of `DISTORTIONS`, applied one after the other.
    """

    version: SolutionVersion
    num_results: int
    filter: Filter | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    shape: Shape = "observed"
    distortions: frozenset[Distortion] = frozenset()

    def output(self, file: InputFile) -> bytes:
        """Answer the queries of a file that `check` found right."""
        key = QUERY_KEYS[self.version.solution.recipe]
        lines = [
            self._answer(query)
            for query in queries(file)
            if query.get(key) not in self.dropped
        ]
        for name, (_, distort) in DISTORTIONS.items():
            if name in self.distortions:
                lines = distort(lines)
        text = "".join(f"{_object(line)}\n" for line in lines)
        return text.encode(errors="backslashreplace")

    def _answer(self, query: Mapping[str, Any]) -> Line:
        members = _observed if self.shape == "observed" else _documented
        try:
            return members(query, self._users(query), None)
        except QueryFailedError as failure:
            return members(query, [], str(failure))

    def _users(self, query: Mapping[str, Any]) -> Sequence[str]:
        key = QUERY_KEYS[self.version.solution.recipe]
        wanted = query.get(key)
        if not isinstance(wanted, str):
            raise QueryFailedError(
                f"User error: Required fields for the provided recipe are {key}"
            )
        if wanted in self.errors:
            raise QueryFailedError(self.errors[wanted])
        rank = _RANKINGS[self.version.solution.recipe]
        users = rank(self.version, wanted)
        if self.filter is not None:
            users = self._pass(self.filter, users, query.get("filterValues"))
        return users[: self.num_results]

    def _pass(
        self, passing: Filter, users: Sequence[str], values: object
    ) -> Sequence[str]:
        dataset = passing.group.dataset
        if dataset is None:
            return users
        given = values if isinstance(values, Mapping) else {}
        try:
            return passing.parsed.apply(users, dataset, given)
        except filters.FilterValueError as error:
            raise QueryFailedError(f"User error: {error}") from error


def check(files: Sequence[InputFile], recipe: str) -> None:
    """Check the input of a job.

    Args:
        files: All its files.
        recipe: The name of the solution version's recipe.

    Raises:
        JobFailedError: The service would not work on it.
    """
    names: dict[str, str] = {}
    for file in files:
        count = sum(1 for _ in queries(file))
        allowed = limits.QUERIES_PER_FILE[recipe]
        if count > allowed:
            raise JobFailedError(
                f"{file.key} holds {count} queries; {recipe} takes at most {allowed} "
                "per file."
            )
        other = names.setdefault(file.output_name, file.key)
        if other != file.key:
            raise JobFailedError(
                f"{other} and {file.key} would both be answered in "
                f"{file.output_name}; how the service keeps them apart is not known, "
                "so give them different names."
            )


def queries(file: InputFile) -> Iterator[dict[str, Any]]:
    """Read the queries of a file, one JSON object a line.

    Raises:
        JobFailedError: A line is not one.
    """
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        raise JobFailedError(f"{file.key} is not UTF-8 text.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            query = json.loads(line)
        except ValueError:
            query = None
        if not isinstance(query, dict):
            raise JobFailedError(
                f"Line {number} of {file.key} is not a JSON object; the input must "
                "be JSON Lines, one query a line."
            )
        yield query


def _users_for_item(version: SolutionVersion, item: str) -> Sequence[str]:
    if version.affinity is None or not version.affinity.knows(item):
        raise QueryFailedError("User error: The item was not in the data at training")
    return version.affinity.users_for_item(item)


def _users_for_attributes(version: SolutionVersion, expression: str) -> Sequence[str]:
    try:
        conditions = [
            (each.column, each.value) for each in expressions.parse(expression)
        ]
    except expressions.ExpressionError as error:
        raise QueryFailedError(f"User error: Invalid expression: {error}") from error
    columns = version.dataset.item_columns if version.dataset else frozenset()
    for column, _ in conditions:
        if column not in columns:
            raise QueryFailedError(f"User error: The items have no column {column}")
    if version.affinity is None:
        return []
    return version.affinity.users_for_attributes(conditions)


_RANKINGS: Final[Mapping[str, Callable[[SolutionVersion, str], Sequence[str]]]] = {
    limits.ITEM_AFFINITY: _users_for_item,
    limits.ITEM_ATTRIBUTE_AFFINITY: _users_for_attributes,
}


def _observed(
    query: Mapping[str, Any], users: Sequence[str], error: str | None
) -> Line:
    """Make the members of a line, with the order and spaces of real outputs."""
    listed = ",".join(_json(user) for user in users)
    return {
        "input": _json(query),
        "output": f'{{"usersList": [{listed}]}}',
        "error": _json(error),
    }


def _documented(
    query: Mapping[str, Any], users: Sequence[str], error: str | None
) -> Line:
    """Make the members of a line as the developer guide's examples show them."""
    unwrapped = "itemAttributes" in query
    line = {name: _json(value) for name, value in query.items()} if unwrapped else {}
    if not unwrapped:
        line["input"] = _json(query)
    line["output"] = _json({"recommendedUsers": list(users)})
    if error is not None:
        line["error"] = _json(error)
    return line


def _without_output(line: Line) -> Line:
    failed = line.get("error", "null") != "null"
    return {key: each for key, each in line.items() if key != "output" or not failed}


DISTORTIONS: Final[
    Mapping[Distortion, tuple[str, Callable[[list[Line]], list[Line]]]]
] = {
    "reversed": (
        "lines in another order than the queries, which no source rules out",
        lambda lines: lines[::-1],
    ),
    "duplicated": (
        "every line twice, which no source rules out",
        lambda lines: [line for line in lines for _ in range(2)],
    ),
    "extra keys": (
        "a key that the service does not write today",
        lambda lines: [{**line, "modelVersion": '"2"'} for line in lines],
    ),
    "no output": (
        "no `output` where there is an error, as batch inference was seen to do",
        lambda lines: [_without_output(line) for line in lines],
    ),
}
"""What output may be like, to test that its readers cope: why, and how it is made."""


def _object(line: Line) -> str:
    members = (f"{_json(key)}: {value}" for key, value in line.items())
    return f"{{{', '.join(members)}}}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
