"""Query files: what counts as one, and what is read of those that are damaged."""

import gzip

import pytest

from segment_tasks import query_files
from segment_tasks.limits import ITEM_AFFINITY, ITEM_ATTRIBUTE_AFFINITY
from segment_tasks.query_files import Bad, Good

ONE = b'{"itemId": "1"}'
TWO = b'{"itemId": "2"}'


def read(content, size=1 << 20, recipe=ITEM_AFFINITY, placeholders=frozenset()):
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return list(query_files.read(pieces, recipe, placeholders))


def reason(found):
    [bad] = found
    assert isinstance(bad, Bad)
    [problem] = bad.problems
    return bad.line, problem.reason


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("packed", [False, True])
def test_marks_blank_lines_and_line_ends_of_any_system_do_not_matter(size, packed):
    content = b"\xef\xbb\xbf\r\n" + ONE + b"\r\n" + TWO + b"\n \t\n" + ONE
    found = read(gzip.compress(content) if packed else content, size)
    assert found == [Good(2, [ONE, TWO], []), Good(5, [ONE], [])]


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", gzip.compress(b"")])
def test_an_empty_file_has_nothing_good_or_bad(content):
    assert read(content) == []


def test_a_compressed_file_may_have_several_members_and_zeros_at_its_end():
    content = gzip.compress(ONE + b"\n") + gzip.compress(TWO + b"\n") + bytes(100)
    for size in (1, 5, 1000):
        assert read(content, size) == [Good(1, [ONE, TWO], [])]


def test_what_compresses_well_is_read_in_pieces():
    blank = b"\n" * 5_000_000
    assert read(gzip.compress(blank + ONE)) == [Good(5_000_001, [ONE], [])]


def test_a_compressed_file_that_is_cut_off_keeps_the_lines_before():
    content = b"".join(b'{"itemId": "%d"}\n' % number for number in range(50_000))
    packed = gzip.compress(content)
    good, bad = [], []
    for found in read(packed[: len(packed) // 2], 1000):
        (good if isinstance(found, Good) else bad).append(found)
    count = sum(len(each.queries) for each in good)
    assert 10_000 < count < 40_000
    [(line, [problem], is_last)] = bad
    assert is_last
    assert line == count + 1
    assert "cut off here; compress and upload it again" in problem.reason


def test_a_damaged_compressed_file_is_told():
    packed = bytearray(gzip.compress(ONE * 1000))
    packed[20:24] = b"\xff\xff\xff\xff"
    assert "damaged here" in reason(read(bytes(packed)))[1]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"\n" + b'[{"itemId": "1"}]', 2, "jq -c '.[]' FILE converts it"),
        (b"[\n" + ONE + b",\n" + TWO + b"\n]\n", 1, "the file is a JSON array"),
        (b'{\n  "itemId": "1"\n}\n', 1, "jq -c . FILE converts it"),
        (b"item_id,name\n1,x\n", 1, "a table or a list of plain values"),
        (b"105\n106\n", 1, "jq -Rc '{itemId: .}' FILE converts a list"),
        (b"105", 1, "a table or a list of plain values"),
        ("item\n1\n".encode("utf-16"), 1, "the file is UTF-16; save it as UTF-8"),
        (b"PAR1\x00\x01\n", 1, "the file is binary"),
        (b"\xe9t\xe9\n\xe9\n", 1, "neither JSON nor UTF-8"),
        (gzip.compress(gzip.compress(ONE)), 1, "compressed twice"),
    ],
)
def test_another_kind_of_file_is_refused_once_and_as_a_whole(content, line, says):
    found_line, told = reason(read(content))
    assert found_line == line
    assert says in told


def test_a_first_line_that_is_bad_does_not_condemn_the_file():
    found = read(b"# my films\n" + ONE + b"\n")
    assert [type(each) for each in found] == [Bad, Good]


def test_ids_of_any_script_are_taken_quickly_or_slowly_alike():
    for line in ('{"itemId": "映画"}', '{"itemId":"\\u6620\\u753b"}'):
        assert read(line.encode()) == [Good(1, ['{"itemId": "映画"}'.encode()], [])]
    [bad] = read(b'{"itemId": "1"}\n{"itemId": "\xff"}\n')[1:]
    assert (bad.line, bad.problems[0].column) == (2, 13)


def test_where_the_filter_needs_values_no_line_goes_without():
    [bad] = read(ONE, placeholders=frozenset({"A"}))
    assert "needs a value for A" in bad.problems[0].reason
    assert read(ONE, placeholders=None) == [Good(1, [ONE], [])]


def test_expressions_in_their_usual_spelling_are_taken_as_they_are():
    line = rb'{"itemAttributes": "ITEMS.a = \"x\" AND ITEMS.b=\"y\""}'
    [good] = read(line, recipe=ITEM_ATTRIBUTE_AFFINITY)
    assert good == Good(1, [line], [])
    odd = rb'{"itemAttributes": "ITEMS.a = 5"}'
    [good] = read(odd, recipe=ITEM_ATTRIBUTE_AFFINITY)
    assert good.doubts == ["numbers without quotes in itemAttributes"]


def test_stretches_hold_consecutive_lines_only():
    content = ONE + b"\n{}\n" + TWO + b"\n\n" + ONE + b"\n" + TWO
    found = read(content)
    assert [(type(each), each.line) for each in found] == [
        (Good, 1),
        (Bad, 2),
        (Good, 3),
        (Good, 5),
    ]
    assert found[-1].queries == [ONE, TWO]
    many = read((ONE + b"\n") * 1201)
    assert [(each.line, len(each.queries)) for each in many] == [
        (1, 500),
        (501, 500),
        (1001, 201),
    ]


@pytest.mark.parametrize("start", [b"", ONE])
def test_a_line_that_is_too_long_is_never_taken_for_what_it_starts_with(start):
    found = read(start + b" " * 300_000 + TWO + b"\n" + ONE)
    assert [(type(each), each.line) for each in found] == [(Bad, 1), (Good, 2)]
    assert "longer than 262,144 bytes" in found[0].problems[0].reason


def test_long_lines_are_handed_on_a_few_at_a_time():
    values = '{"itemId": "%d", "filterValues": {"A": "\\"%s\\""}}\n'
    content = "".join(values % (number, "x" * 200_000) for number in range(20))
    found = read(content.encode(), placeholders=frozenset("A"))
    assert sum(len(each.queries) for each in found) == 20
    assert max(len(each.queries) for each in found) < 8
