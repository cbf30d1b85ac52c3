"""The reader of raw output: any shape, any order, any cut of the stream."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_tasks import output


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def read(data, size=7):
    """Read output, and return (query, error, users) of each line, or None."""
    answers = list(output.scan(pieces(data, size)))
    found = []
    for answer in answers:
        if answer is None:
            found.append(None)
            continue
        users = None
        if answer.users is not None:
            read_users = output.stretches(pieces(data, size), 0, answer.users)
            users = [
                user.decode()
                for stretch in read_users
                for user in output.users_of(stretch)
            ]
            assert len(users) == sum(each.users for each in answer.users)
        found.append((answer.query, answer.error, users))
    return found


ITEM = {"itemId": "1"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '{"input": {"itemId": "1"}, "output": {"usersList": ["a", "b"]}, '
            '"error": null}',
            (ITEM, None, ["a", "b"]),
        ),
        (
            '{"input":{"itemId":"1"},"output":{"recommendedUsers":["a"]}}',
            (ITEM, None, ["a"]),
        ),
        (
            '{"itemId": "1", "output": {"recommendedUsers": ["a"]}}',
            (ITEM, None, ["a"]),
        ),
        (
            '{"output": {"usersList": ["a"]}, "error": null, "input": {"itemId": "1"}}',
            (ITEM, None, ["a"]),
        ),
        (
            '{"output": {"n": [1, {"x": []}], "usersList": [], "s": "]"}, "v": 2.50, '
            '"w": true, "input": {"itemId": "1"}}',
            (ITEM, None, []),
        ),
        (
            '{"input": {"itemId": "1"}, "error": "no such item"}',
            (ITEM, "no such item", None),
        ),
        (
            '{"input": {"itemId": "1"}, "output": null, "error": {"code": 5}}',
            (ITEM, '{"code": 5}', None),
        ),
        (
            '{"input": {"itemId": "1"}, "output": {"usersList": null}, "error": ""}',
            (ITEM, None, None),
        ),
        (
            '{"input": {"itemId": "1"}, "output": {"usersList": null, '
            '"recommendedUsers": ["a"]}}',
            (ITEM, None, ["a"]),
        ),
        (
            '{"output": {}, "input": {"itemId": "1", '
            '"filterValues": {"A": "\\"x\\""}}}',
            ({"itemId": "1", "filterValues": {"A": '"x"'}}, None, None),
        ),
        (
            r'{"input":{"itemId":"1"},"output":{"usersList":["a\"],[\\","\u00e9"]}}',
            (ITEM, None, ['a"],[\\', "é"]),
        ),
        ("{}", ({}, None, None)),
    ],
)
def test_documented_and_observed_shapes_are_read(line, expected):
    for size in (1, 7, 10_000):
        assert read(f"\n{line}\r\n\n{line}".encode(), size) == [expected, expected]


@pytest.mark.parametrize(
    "line",
    [
        "null",
        "[]",
        '{"input"',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["a", "b',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["a", "b"]',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["a", 5]}}',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["a",]}}',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["a" "b"]}}',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["\\q"]}}',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["\\ud800"]}}',
        '{"input": {"itemId": "1"}, "output": {"usersList": ["a"]}} x',
        '{"input": {"itemId": "1"}} {"input": {"itemId": "2"}}',
        '{"input": {"itemId": 01}}',
        '{"input": ]}',
        '{"input": \x0b}',
        '{"more": {\x0c}}',
        '{"input": ,}',
        "{5: 1}",
        '{"a": 1 "b": 2}',
        b'{"input": {"itemId": "1"}, "output": {"usersList": ["\xff"]}}',
        b'{"\xff": 1}',
        '{"input": "' + "x" * 30_000 + '"}',
        '{"input": [' + "1," * 10_000 + "1]}",
        '{"output": {"usersList": ["' + "x" * 30_000 + '"]}}',
    ],
)
def test_a_broken_line_is_told_and_leaves_the_others_alone(line, monkeypatch):
    monkeypatch.setattr(output, "_LONGEST_VALUE", 8192)
    line = line if isinstance(line, bytes) else line.encode()
    good = b'{"input": {"itemId": "1"}, "output": {"usersList": ["a"]}}'
    found = read(b"\n".join([good, line, good]), 4096)
    assert found == [(ITEM, None, ["a"]), None, (ITEM, None, ["a"])]
    assert read(line, 4096) == [None]


def test_a_query_nested_beyond_all_measure_is_told():
    nested = b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert read(nested, 65_536) == [None]


def test_large_values_that_nobody_needs_are_passed_by(monkeypatch):
    monkeypatch.setattr(output, "_LONGEST_VALUE", 8192)
    line = (
        '{"scores": [' + "1.5, " * 5000 + '2], "input": {"itemId": "1"}, '
        '"output": {"usersList": ["a"]}}'
    )
    assert read(line.encode(), 4096) == [(ITEM, None, ["a"])]


def test_stretches_of_users_are_small_however_long_the_line_is():
    users = [str(each) for each in range(300_000)]
    data = json.dumps({"input": ITEM, "output": {"usersList": users}}).encode()
    (answer,) = output.scan(pieces(data, 65_536))
    assert max(end - start for start, end, _ in answer.users) < 2 * 65_536
    assert read(data, 65_536) == [(ITEM, None, users)]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_users_that_look_like_what_is_between_users_are_told_apart(size):
    for text in ('["a","aaa",",","," ,","]', '["," ,"," , ","]', '[",", ", ",","]'):
        line = f'{{"input": {{"itemId": "1"}}, "output": {{"usersList": {text}}}}}'
        assert read(line.encode(), size) == [(ITEM, None, json.loads(text))]


_IDS = st.text() | st.text(alphabet='",\\[]{}: \n\r\té\U0001f383u0d8')
_QUERIES = st.fixed_dictionaries({"itemId": _IDS})
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _IDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_IDS, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def records(draw):
    """A line in any shape, with what is to be read from it."""
    query = draw(_QUERIES)
    users = draw(st.none() | st.lists(_IDS, max_size=6))
    error = draw(st.none() | st.text(min_size=1))
    known = {"usersList", "recommendedUsers"}
    out = draw(
        st.dictionaries(_IDS.filter(lambda key: key not in known), _VALUES, max_size=2)
    )
    if users is not None:
        out[draw(st.sampled_from(sorted(known)))] = users
    reserved = {"input", "output", "error", "itemId", "itemAttributes", "filterValues"}
    record = draw(
        st.dictionaries(
            _IDS.filter(lambda key: key not in reserved), _VALUES, max_size=2
        )
    )
    record |= {"output": dict(draw(st.permutations(list(out.items())))), "error": error}
    record |= {"input": query} if draw(st.booleans()) else query
    line = json.dumps(
        dict(draw(st.permutations(list(record.items())))),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", "\t:\r")])),
    )
    return line, (query, error, users)


@given(st.lists(records(), max_size=4), st.integers(1, 40))
def test_any_line_in_any_order_is_read_as_json_would(lines, size):
    data = "\n".join(line for line, _ in lines).encode()
    assert read(data, size) == [expected for _, expected in lines]


@given(records(), st.data())
def test_a_damaged_line_never_harms_the_next_one(record, data):
    line = record[0].encode()
    at = data.draw(st.integers(0, len(line) - 1))
    noise = data.draw(st.binary(max_size=3).filter(lambda each: b"\n" not in each))
    damaged = line[:at] + noise + line[at + data.draw(st.integers(0, 3)) :]
    good = b'{"input": {"itemId": "1"}, "output": {"usersList": ["a"]}}'
    assert read(damaged + b"\n" + good)[-1] == (ITEM, None, ["a"])
