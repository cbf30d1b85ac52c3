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
    """

    version: SolutionVersion
    num_results: int
    filter: Filter | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    shape: Shape = "observed"

    def output(self, file: InputFile) -> bytes:
        """Answer the queries of a file that `check` found right."""
        key = QUERY_KEYS[self.version.solution.recipe]
        lines = [
            self._answer(query)
            for query in queries(file)
            if query.get(key) not in self.dropped
        ]
        return "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")

    def _answer(self, query: Mapping[str, Any]) -> str:
        render = _observed if self.shape == "observed" else _documented
        try:
            return render(query, self._users(query), None)
        except QueryFailedError as failure:
            return render(query, [], str(failure))

    def _users(self, query: Mapping[str, Any]) -> list[str]:
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

    def _pass(self, passing: Filter, users: list[str], values: object) -> list[str]:
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


def _users_for_item(version: SolutionVersion, item: str) -> list[str]:
    if version.affinity is None or not version.affinity.knows(item):
        raise QueryFailedError("User error: The item was not in the data at training")
    return version.affinity.users_for_item(item)


def _users_for_attributes(version: SolutionVersion, expression: str) -> list[str]:
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


_RANKINGS: Final[Mapping[str, Callable[[SolutionVersion, str], list[str]]]] = {
    limits.ITEM_AFFINITY: _users_for_item,
    limits.ITEM_ATTRIBUTE_AFFINITY: _users_for_attributes,
}


def _observed(query: Mapping[str, Any], users: list[str], error: str | None) -> str:
    """Write a line with the keys, order and spaces of real outputs."""
    listed = ",".join(_json(user) for user in users)
    return (
        f'{{"input": {_json(query)}, "output": {{"usersList": [{listed}]}}, '
        f'"error": {_json(error)}}}'
    )


def _documented(query: Mapping[str, Any], users: list[str], error: str | None) -> str:
    """Write a line as the developer guide's examples show it."""
    unwrapped = "itemAttributes" in query
    line: dict[str, Any] = dict(query) if unwrapped else {"input": query}
    line["output"] = {"recommendedUsers": users}
    if error is not None:
        line["error"] = error
    return _json(line)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
