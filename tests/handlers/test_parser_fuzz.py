"""Anything at all, given to the readers of query files: they take it or say why not.

What is right is worked out in the plainest way, line by line with `json`.
"""

import gzip
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segment_tasks import expressions, queries, query_files
from segment_tasks.expressions import Condition, ExpressionError
from segment_tasks.limits import ITEM_AFFINITY, ITEM_ATTRIBUTE_AFFINITY
from segment_tasks.queries import Query
from segment_tasks.query_files import Bad, Good

TIMES = [1, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
RECIPES = [ITEM_AFFINITY, ITEM_ATTRIBUTE_AFFINITY]
PLACEHOLDERS = [None, frozenset(), frozenset("A"), frozenset("AB")]
SPACES = st.text(" \t\n\r\u00a0\u2003", max_size=2)


def every(strategy, check, examples):
    """Hold a check against so many examples."""
    settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )(given(strategy)(check))()


# Expressions.


def attempt(parse, text):
    try:
        return parse(text)
    except ExpressionError as error:
        return error


WORDS = [
    *("ITEMS.a", "items.B", "ITEMS.", ".a", "USERS.a", "ITEMS.a.b", "a", "-", "1.5"),
    *("AND", "and", "OR", "NOT", "IN", "BETWEEN", "LIKE", "IS", "$a", "5th", "-3e+5"),
    *("=", "==", "!=", "<>", "<", ">=", "&&", "||", "(", ")", "[", ",", ";", ".", "!"),
    *(
        '"x"',
        '"',
        '\\"',
        "\\",
        "'",
        "'x'",
        "“",
        "”",
        "\u2018",
        "`",
        '"\\',
        '""',
        '"é\n"',
    ),
    *(" ", "  ", "\n", "\t", "\u00a0", "é", "日", "🎃", "\0", "\ud83c", "\u0661"),
]


@pytest.mark.parametrize("times", TIMES)
def test_any_expression_is_parsed_or_refused_at_a_place_inside_it(times):
    def check(text):
        conditions = attempt(expressions.parse, text)
        again = attempt(expressions.check, text)
        if isinstance(conditions, ExpressionError):
            assert 0 <= conditions.position <= len(text)
            assert conditions.message
            assert isinstance(again, ExpressionError)
            assert again.position == conditions.position
        else:
            assert conditions
            assert all(column for column, _ in conditions)
            assert isinstance(again, list)

    texts = st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
    spaced = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
    every(texts | spaced | st.text(), check, 400 * times)


NUMBERS = st.from_regex(
    r"[-+]?([0-9]{1,4}(\.[0-9]{0,3})?|\.[0-9]{1,3})([eE][-+]?[0-9]{1,2})?",
    fullmatch=True,
)
COLUMNS = st.from_regex(r"[A-Za-z_0-9é-]{1,8}", fullmatch=True)


@st.composite
def valid_expressions(draw):
    """Draw an expression, and the conditions that it is made of."""
    conditions, texts = [], []
    for _ in range(draw(st.integers(1, 4))):
        column = draw(COLUMNS)
        if draw(st.integers(0, 3)):
            value = draw(st.text(max_size=6) | st.text("\"\\' =AND", max_size=6))
            literal = "".join(
                f"\\{each}" if each in '"\\' or draw(st.integers(0, 9)) == 0 else each
                for each in value
            )
            literal = f'"{literal}"'
        else:
            value = literal = draw(NUMBERS)
        table = draw(st.sampled_from(["ITEMS", "ITEMS", "items", "Items"]))
        texts.append(f"{table}.{column}{draw(SPACES)}={draw(SPACES)}{literal}")
        conditions.append(Condition(column, value))
    text = draw(SPACES) + texts[0]
    for each in texts[1:]:
        both = st.sampled_from(["AND", "AND", "and", "And"])
        text += f" {draw(SPACES)}{draw(both)} {draw(SPACES)}{each}"
    return text + draw(SPACES), tuple(conditions)


@pytest.mark.parametrize("times", TIMES)
def test_an_expression_is_parsed_to_what_it_was_made_from(times):
    def check(made):
        text, conditions = made
        assert expressions.parse(text) == conditions
        expressions.check(text)

    every(valid_expressions(), check, 250 * times)


# Lines.


def is_literals(text):
    """Tell whether a filter value is literals and commas: character by character."""
    wanted, inside, rest = True, False, iter(text)
    bare = ""
    for each in rest:
        if inside:
            if each == "\\":
                if next(rest, None) is None:
                    return False
            elif each == '"':
                inside, wanted, bare = False, False, '""'
        elif each == '"':
            if bare.strip():
                return False
            inside, bare = True, ""
        elif each == ",":
            if not is_bare_literal(bare):
                return False
            wanted, bare = True, ""
        else:
            bare += each
    return not inside and is_bare_literal(bare) and not (wanted and not bare.strip())


def is_bare_literal(text):
    text = text.strip()
    if text == '""':
        return True
    try:
        float(text)
    except ValueError:
        return False
    return re.fullmatch(r"[-+0-9.eE]+", text) is not None


def is_right(value, recipe, placeholders):
    """Tell whether a line that has this value is a query."""
    key = {ITEM_AFFINITY: "itemId", ITEM_ATTRIBUTE_AFFINITY: "itemAttributes"}[recipe]
    if not isinstance(value, dict) or not {key} <= set(value) <= {key, "filterValues"}:
        return False
    if not isinstance(value[key], str):
        return False
    if recipe == ITEM_AFFINITY and not 1 <= len(value[key]) <= 256:
        return False
    if recipe == ITEM_ATTRIBUTE_AFFINITY:
        try:
            expressions.parse(value[key])
        except ExpressionError:
            return False
    given = value.get("filterValues", {})
    if not isinstance(given, dict):
        return False
    if placeholders is not None and set(given) != placeholders:
        return False
    return all(isinstance(each, str) and is_literals(each) for each in given.values())


ODD = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.lists(st.just("x")) | st.text()
)
LITERALS = st.sampled_from(['"x"', '"a", "b"', "5"]) | st.lists(
    st.sampled_from(['"x"', '"a, b"', r'"\""', "5", " ", ",", '"', "x", "-1.5", '""'])
    | NUMBERS,
    min_size=1,
    max_size=5,
).map("".join)
ITEM_IDS = (
    st.text(min_size=1, max_size=5)
    | st.sampled_from(["", "x" * 256, "x" * 257, "🎃" * 256, "🎃" * 257, "é" * 200])
    | st.text('"\\/\n{}:,\u2028\x7f', min_size=1, max_size=5)
)
VALUES = st.dictionaries(
    st.sampled_from(["A", "A", "A", "B", "$A"]), LITERALS | ODD, max_size=3
) | st.tuples(LITERALS, LITERALS).map(lambda both: {"B": both[0], "A": both[1]})


@st.composite
def objects(draw):
    """Draw what a line may say, mostly right."""
    value = {}
    if draw(st.integers(0, 3)):
        value["itemId"] = draw(st.one_of(ITEM_IDS, ITEM_IDS, ODD))
    else:
        right = valid_expressions().map(lambda made: made[0])
        value["itemAttributes"] = draw(st.one_of(right, right, ODD))
    if draw(st.booleans()):
        value["filterValues"] = draw(st.one_of(VALUES, VALUES, VALUES, ODD))
    if draw(st.integers(0, 9)) == 0:
        value[draw(st.sampled_from(["itemid", "itemAttributes", "more", ""]))] = 1
    return {key: value[key] for key in draw(st.permutations(list(value)))}


@st.composite
def written(draw, values):
    """Draw a way to write a value as JSON."""
    separators = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", "\r: ")]))
    text = json.dumps(
        draw(values), ensure_ascii=draw(st.booleans()), separators=separators
    )
    indent, end = draw(st.text(" \t", max_size=2)), draw(st.text(" \t\r", max_size=2))
    # Half a character cannot be written but as its escape.
    return (indent + text + end).encode(errors="backslashreplace")


@pytest.mark.parametrize("times", TIMES)
def test_a_line_is_taken_if_what_json_reads_in_it_is_right(times):
    def check(line, recipe, placeholders):
        value = json.loads(line)
        found = queries.check(line, recipe, placeholders)
        assert isinstance(found, Query) == is_right(value, recipe, placeholders)
        if not isinstance(found, Query):
            return
        if not value.get("filterValues", True):
            del value["filterValues"]
        sent = json.loads(found.text)
        assert sent == value
        assert b"\n" not in found.text
        again = queries.check(found.text, recipe, placeholders)
        assert again.text == found.text
        names = list(sent.get("filterValues", ()))
        assert names == sorted(names)

    arguments = st.tuples(
        written(objects()), st.sampled_from(RECIPES), st.sampled_from(PLACEHOLDERS)
    )
    every(arguments, lambda given_: check(*given_), 400 * times)


PIECES = [
    *(b"{", b"}", b'"', b'\\"', b"\\", b":", b",", b" ", b"\t", b"\r", b"[", b"]"),
    *(b"itemId", b"itemAttributes", b'"filterValues": {"A": "1"}', b"ITEMS.a", b"="),
    *(b" AND ", b"'", b"5", b"x", b"\\u0041", b"\\ud83c", b"\\n", b"\\x", b"null"),
    *(b"\\u00e9", b"\\uD83C\\uDF83", b"\\uFFFF", b"\\u0022", b"\\U0001f383", b"\\u"),
    *(b"\xc3\xa9", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b"\x7f", b"\x0b", b"\x0c"),
    *(
        b"\x1c",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\xef\xbb\xbf",
        b"\xc2\xa0",
        b"NaN",
        b"1e999",
    ),
    *(b"//", b"\xe2\x80\x99", b"\xe3\x80\x80", b"\xe1\x9a\x80"),
]
USUAL = [
    b'{"itemId": "105"}',
    b'{"itemId":"1"}',
    b'{"itemId": "\xc3\xa9"}',
    b'{"itemId": "\\u00e9"}',
    b'{"itemId": "\xc3"}',
    b'{"itemAttributes": "ITEMS.a = \\"\xff\\""}',
    rb'{"itemAttributes": "ITEMS.a = \"x\" AND ITEMS.b = \"y\""}',
    rb'{"itemAttributes":"ITEMS.genres=\"x\u20ac\""}',
    rb'{"itemAttributes": "ITEMS.a = \"\""}',
    rb'{"itemId": "1", "filterValues": {"A": "\"x\",\"y\""}}',
    rb'{"filterValues": {"A": "5", "B": "\"y\""}, "itemAttributes": "ITEMS.a = 5"}',
]


@st.composite
def nearly_right(draw):
    """Draw a line that is right but for a few pieces."""
    line = draw(st.sampled_from(USUAL) | written(objects()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        gone = draw(st.integers(0, 3))
        line = line[:at] + draw(st.sampled_from(PIECES)) + line[at + gone :]
    return line


LINES = (nearly_right() | st.binary(max_size=20)).map(
    lambda line: line.replace(b"\n", b"")
)


@pytest.mark.parametrize("times", TIMES)
def test_any_line_is_taken_or_refused_at_columns_inside_it(times):
    def check(line, recipe, placeholders):
        if not line.strip():
            return
        found = queries.check(line, recipe, placeholders)
        if isinstance(found, Query):
            assert is_right(json.loads(line.strip()), recipe, placeholders)
            return
        assert found
        end = len(line.decode(errors="replace")) + 1
        for column, reason in found:
            assert 1 <= column <= end
            assert reason
            assert reason.isprintable()

    arguments = st.tuples(
        LINES, st.sampled_from(RECIPES), st.sampled_from(PLACEHOLDERS)
    )
    every(arguments, lambda given_: check(*given_), 400 * times)


# Files.


def flat(found):
    """What reading a file comes to, without how it is cut into lists."""
    good, bad, doubts = [], [], []
    for each in found:
        if isinstance(each, Good):
            good += enumerate(each.queries, start=each.line)
            doubts += each.doubts
        else:
            bad.append((each.line, each.problems))
    return good, bad, sorted(doubts)


def plainly(content, recipe, placeholders):
    """Read lines one by one with nothing but the checker of a line."""
    good, bad, doubts = [], [], []
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = queries.check(line, recipe, placeholders)
        if isinstance(found, Query):
            good.append((number, found.text))
            doubts += found.doubts
        else:
            bad.append((number, found))
    return good, bad, sorted(doubts)


def cut(content, places):
    borders = sorted({min(each, len(content)) for each in places})
    return [
        content[start:end]
        for start, end in zip([0, *borders], [*borders, None], strict=True)
    ]


CUTS = st.lists(st.integers(0, 400), max_size=8) | st.just(range(1000))


@st.composite
def json_lines(draw):
    """Draw a file that is JSON Lines, whatever its lines are."""
    lines = draw(st.lists(LINES | st.sampled_from([b"", b" ", b"\r"]), max_size=8))
    content = b"\n".join([b'{"itemId": "1"}', *lines])
    return b"\xef\xbb\xbf" + content if draw(st.booleans()) else content


@st.composite
def compressed(draw, content):
    """Draw a way to compress a file, and perhaps to damage that."""
    places = draw(st.lists(st.integers(0, len(content)), max_size=2))
    members = [gzip.compress(each, mtime=0) for each in cut(content, places)]
    return (b"\0" * draw(st.sampled_from([0, 0, 3]))).join(members)


@pytest.mark.parametrize("times", TIMES)
def test_a_file_is_read_like_its_lines_however_it_comes(times):
    def check(data):
        recipe, placeholders = (
            data.draw(st.sampled_from(RECIPES)),
            data.draw(st.sampled_from(PLACEHOLDERS)),
        )
        content = data.draw(json_lines())
        right = plainly(content, recipe, placeholders)
        for stored in (content, data.draw(compressed(content))):
            chunks = cut(stored, data.draw(CUTS))
            assert flat(query_files.read(chunks, recipe, placeholders)) == right

    every(st.data(), check, 250 * times)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("placeholders", PLACEHOLDERS)
def test_every_usual_line_with_any_piece_anywhere_is_read_as_checked(
    recipe, placeholders
):
    lines = [
        line[:at] + piece + line[at:]
        for line in USUAL
        for at in range(len(line) + 1)
        for piece in [*PIECES, b""]
    ]
    content = b"\n".join([b'{"itemId": "1"}', *lines])
    found = flat(query_files.read([content], recipe, placeholders))
    assert found == plainly(content, recipe, placeholders)


@pytest.mark.parametrize("times", TIMES)
def test_any_file_has_the_same_verdict_however_it_is_cut(times):
    def check(content, recipe, cuts):
        whole = flat(query_files.read([content], recipe, frozenset()))
        assert flat(query_files.read(cut(content, cuts), recipe, frozenset())) == whole
        assert all(line >= 1 and problems for line, problems in whole[1])
        blank = not content.removeprefix(b"\xef\xbb\xbf").strip()
        assert blank or whole[0] or whole[1] or content.startswith(b"\x1f\x8b")

    starts = st.sampled_from(
        [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"[", b"{\n", b"a,b\n", b"\n\n", b"\xef"]
    )
    content = st.tuples(starts, st.lists(LINES, max_size=4)).map(
        lambda given_: given_[0] + b"\n".join(given_[1])
    )
    every(
        st.tuples(content, st.sampled_from(RECIPES), CUTS),
        lambda given_: check(*given_),
        400 * times,
    )


@pytest.mark.parametrize("times", TIMES)
def test_compressed_files_that_are_cut_off_or_damaged_are_always_told(times):
    def check(data):
        content = data.draw(json_lines())
        stored = gzip.compress(content, mtime=0)
        right = plainly(content, ITEM_AFFINITY, frozenset())
        end = data.draw(st.integers(2, len(stored) - 1))
        chunks = cut(stored[:end], data.draw(CUTS))
        good, bad, _ = flat(query_files.read(chunks, ITEM_AFFINITY, frozenset()))
        assert "cut off" in bad[-1][1][0].reason
        assert good == right[0][: len(good)]
        assert bad[:-1] == right[1][: len(bad) - 1]
        # Behind the header, which has no checksum.
        at = data.draw(st.integers(10, len(stored) - 1))
        broken = bytearray(stored)
        broken[at] ^= data.draw(st.integers(1, 255))
        chunks = cut(bytes(broken), data.draw(CUTS))
        found = list(query_files.read(chunks, ITEM_AFFINITY, frozenset()))
        # A few bits of the compressed data mean nothing.
        whole = query_files.read([stored], ITEM_AFFINITY, frozenset())
        assert isinstance(found[-1], Bad) or found == list(whole)

    every(st.data(), check, 200 * times)
