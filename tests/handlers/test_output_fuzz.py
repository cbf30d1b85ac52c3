"""Any raw output, given to its reader: agreed with `json`, line by line.

However the stream is cut, users come out as they are meant.
"""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segment_tasks import output

TIMES = [1, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
QUERY_KEYS = ("itemId", "itemAttributes", "filterValues")
UNREADABLE = "unreadable"

USERS = st.lists(
    st.text(st.sampled_from('ab1 "\\,\n\r\t]}[{:/é日🎃\u2028\x7f\0'), max_size=5)
    | st.text(st.characters(codec="utf-8"), max_size=3)
    | st.from_regex(r"user-[0-9]{1,4}", fullmatch=True),
    max_size=12,
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
ANYTHING = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
QUERIES = st.dictionaries(st.sampled_from(QUERY_KEYS), ANYTHING, max_size=2)


def every(strategy, check, examples):
    """Hold a check against so many examples."""
    settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )(given(strategy)(check))()


@st.composite
def said(draw):
    """Draw what a line may say, in any order of its keys."""
    line = {}
    if draw(st.booleans()):
        line["input"] = draw(QUERIES | ANYTHING)
    else:
        line |= draw(QUERIES)
    if draw(st.integers(0, 4)):
        key = st.sampled_from(["usersList", "recommendedUsers", "other"])
        line["output"] = draw(
            st.dictionaries(key, USERS | USERS | ANYTHING, max_size=3) | ANYTHING
        )
    if draw(st.booleans()):
        line["error"] = draw(st.none() | st.just("failed") | ANYTHING)
    line |= draw(st.dictionaries(st.text(max_size=3), ANYTHING, max_size=2))
    return {key: line[key] for key in draw(st.permutations(list(line)))}


@st.composite
def written(draw, values):
    separators = draw(
        st.sampled_from([(", ", ": "), (",", ":"), (" , ", " : "), (",\t", "\r:")])
    )
    text = json.dumps(
        draw(values), ensure_ascii=draw(st.booleans()), separators=separators
    )
    if draw(st.integers(0, 4)) == 0:
        text = text.replace("user-", "\\u0075ser\\u002d").replace("/", "\\/")
    margins = [("", ""), ("", "\r"), (" \t", " ")]
    before, after = draw(st.sampled_from(margins))
    return (before + text + after).encode(errors="backslashreplace")


def right(line):
    """Read a line in the plainest way: (query, error, users), or that it cannot be."""
    try:
        value = json.loads(line, object_pairs_hook=once)
    except ValueError:
        return UNREADABLE
    if not isinstance(value, dict):
        return UNREADABLE
    query = value.get("input")
    if not isinstance(query, dict):
        query = {key: value[key] for key in QUERY_KEYS if key in value}
    found = value.get("output")
    lists = found if isinstance(found, dict) else {}
    users = None
    for key in ("recommendedUsers", "usersList"):
        if isinstance(lists.get(key), list):
            users = lists[key]
            if not all(isinstance(each, str) and is_text(each) for each in users):
                return UNREADABLE
    error = value.get("error")
    if error is not None and error != "" and not isinstance(error, str):
        error = json.dumps(error)
    return query, error or None, users


def once(pairs):
    """Let nobody rely on which of two equal keys counts."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def is_text(user):
    try:
        user.encode()
    except UnicodeEncodeError:
        return False
    return True


def cut(content, places):
    borders = sorted({min(each, len(content)) for each in places})
    return [
        content[start:end]
        for start, end in zip([0, *borders], [*borders, None], strict=True)
        if content[start:end]
    ]


CUTS = st.lists(st.integers(0, 800), max_size=10) | st.just(range(2000))


def read(content, cuts, cuts_again):
    """Read output as collecting does: once for what it says, once for the users."""
    answers = list(output.scan(cut(content, cuts)))
    spans = [span for each in answers if each for span in each.users or ()]
    assert all(span.users > 0 for span in spans)
    start = spans[0].start if spans else 0
    rest = content[start:]
    stretches = output.stretches(cut(rest, cuts_again), start, spans)
    found = []
    for answer in answers:
        if answer is None:
            found.append(UNREADABLE)
            continue
        users = None if answer.users is None else []
        for span in answer.users or ():
            some = output.users_of(next(stretches))
            assert len(some) == span.users
            users += [each.decode() for each in some]
        found.append((answer.query, answer.error, users))
    assert next(stretches, None) is None
    return found


@pytest.mark.parametrize("times", TIMES)
def test_output_is_read_as_json_reads_it_however_it_is_cut(times):
    def check(data):
        blank = st.sampled_from([b"", b" ", b"\t\r"])
        lines = data.draw(st.lists(written(said()) | blank, max_size=5))
        content = b"\n".join(lines) + data.draw(st.sampled_from([b"", b"\n"]))
        found = read(content, data.draw(CUTS), data.draw(CUTS))
        assert found == [right(line) for line in lines if line.strip()]

    every(st.data(), check, 250 * times)


@pytest.mark.parametrize("times", TIMES)
def test_a_line_that_is_cut_off_is_never_half_read(times):
    def check(data):
        lines = data.draw(st.lists(written(said()), min_size=1, max_size=3))
        at = data.draw(st.integers(0, len(lines) - 1))
        whole = lines[at].rstrip()
        lines[at] = whole[: data.draw(st.integers(0, len(whole) - 1))]
        found = read(b"\n".join(lines), data.draw(CUTS), data.draw(CUTS))
        assert found == [
            UNREADABLE if number == at else right(line)
            for number, line in enumerate(lines)
            if line.strip()
        ]

    every(st.data(), check, 150 * times)


# No raw control characters, which JSON does not allow in strings: some are taken.
PIECES = [
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b" ", b"null", b"1"),
    *(b'"usersList"', b'"output"', b'["u"]', b'"u",', b'\\"', b"\\u00e9", b"\\ud83c"),
    *(b"\xff", b"\xc3\xa9", b"\xc3", b"\\x", b"-", b"e5", b"'", b"\xe2\x80\xa8"),
]


@st.composite
def damaged(draw):
    line = draw(written(said()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        gone = draw(st.integers(0, 3))
        line = line[:at] + draw(st.sampled_from(PIECES)) + line[at + gone :]
    return line


@pytest.mark.parametrize("times", TIMES)
def test_a_damaged_line_leaves_the_others_alone(times):
    def check(data):
        around = [data.draw(written(said())) for _ in range(2)]
        line = data.draw(damaged() | st.binary(max_size=30))
        line = line.replace(b"\n", b"")
        content = b"\n".join([around[0], line, around[1]])
        found = read(content, data.draw(CUTS), data.draw(CUTS))
        assert found[0] == right(around[0])
        assert found[-1] == right(around[1])
        assert len(found) == (3 if line.strip(b" \t\r") else 2)
        assert read(content, [], []) == found

    every(st.data(), check, 250 * times)


@pytest.mark.parametrize(
    "users",
    [b'"u-1","u-2","u-3"', b'"u-1", "u-2", "u-3"', b'"u-1","u\\n2" , "\xc3\xa9"'],
)
def test_any_piece_anywhere_in_a_list_of_users_is_read_as_json_reads_it(users):
    for at in range(len(users) + 1):
        for piece in PIECES:
            broken = users[:at] + piece + users[at:]
            line = b'{"itemId": "1", "output": {"usersList": [%b]}}' % broken
            for cuts in ([], range(0, 100, 7)):
                assert read(line, cuts, cuts) == [right(line)], line


@pytest.mark.parametrize("times", TIMES)
def test_users_with_and_without_escapes_are_never_mixed_up(times):
    def check(data):
        users = data.draw(st.lists(USERS, min_size=1, max_size=4))
        flat = [each for some in users for each in some]
        separator = data.draw(st.sampled_from([",", ", ", " ,", "  ,\t"]))
        texts = []
        for each in flat:
            text = json.dumps(each, ensure_ascii=data.draw(st.booleans()))
            texts += [text, data.draw(st.sampled_from([separator, separator, ","]))]
        listed = "".join(texts[:-1]).encode()
        line = b'{"output": {"usersList": [%b]}, "itemId": "1"}'
        found = read(line % listed, data.draw(CUTS), data.draw(CUTS))
        assert found == [({"itemId": "1"}, None, flat)]
        at = data.draw(st.integers(0, len(listed)))
        piece = data.draw(st.sampled_from(PIECES))
        broken = line % (listed[:at] + piece + listed[at:])
        found = read(broken, data.draw(CUTS), data.draw(CUTS))
        assert found == [right(broken)]

    every(st.data(), check, 150 * times)
