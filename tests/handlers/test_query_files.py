"""Query files: what counts as one, and what is read of those that are damaged."""

import csv
import gzip
import io
import json
import re
import subprocess
import sys

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


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)]
)
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
        (b"\n" + b'[{"itemId": "1"}]', 2, "the file is a JSON array"),
        (b"[\n" + ONE + b",\n" + TWO + b"\n]\n", 1, "the file is a JSON array"),
        (b'{\n  "itemId": "1"\n}\n', 1, "JSON over several lines"),
        (b'{ "itemId":\n"1"\n}\n', 1, "JSON over several lines"),
        (b"item_id,name\n1,x\n", 1, "the file is a table; "),
        (b"Item ID\n105\n106\n", 1, "a table of one column; "),
        (b"105\n106\n", 1, "a list of plain values; "),
        (b"105", 1, "a list of plain values; "),
        (b'"105"\r\n"106"\r\n', 1, "a list of JSON strings; "),
        (rb'"{\"itemId\": \"1\"}"', 1, "a query inside a JSON string; "),
        (b'"note" ' + ONE, 1, "the file is not JSON Lines; "),
        (ONE + b"\r" + TWO + b"\r", 1, "lines end with CR only; save the file with LF"),
        (b"105\r106\r", 1, "lines end with CR only; save the file with LF"),
        ((ONE + b"\r") * 20_000, 1, "lines end with CR only; save the file with LF"),
        ("[" + '"é", ' * 60_000, 1, "the file is a JSON array"),
        ("item\n1\n".encode("utf-16"), 1, "the file is UTF-16; save it as UTF-8"),
        (b"PAR1\x00\x01\n", 1, "the file is binary"),
        (b"\xe9t\xe9\n\xe9\n", 1, "neither JSON nor UTF-8"),
        (gzip.compress(gzip.compress(ONE, mtime=0), mtime=0), 1, "compressed twice"),
    ],
)
def test_another_kind_of_file_is_refused_once_and_as_a_whole(content, line, says):
    found_line, told = reason(
        read(content.encode() if isinstance(content, str) else content)
    )
    assert found_line == line
    assert says in told


ODD_IDS = ["105", "a b", "größe", '7" single', "it's", "映画 🎃", "x\\y", "1, 2"]
MARK = "\ufeff"
LISTED = "".join(f"{each}\r\n" for each in ODD_IDS[:-1])
TABLE = io.StringIO(newline="")
csv.writer(TABLE).writerows([["Title", "Item"], *(["a,b", each] for each in ODD_IDS)])
NESTED = [{"itemId": each, "filterValues": {"A": '"} {"'}} for each in ODD_IDS]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps(ODD_IDS), ODD_IDS),
        (MARK + json.dumps(ODD_IDS, ensure_ascii=False, indent=2), ODD_IDS),
        (json.dumps([{"itemId": each} for each in ODD_IDS], indent=1), ODD_IDS),
        (json.dumps([json.dumps({"itemId": each}) for each in ODD_IDS]), ODD_IDS),
        ("[105, 12345678901234567890]", ["105", "12345678901234567890"]),
        (MARK + f"{LISTED}\r\n \r\n8", [*ODD_IDS[:-1], "8"]),
        ("\n".join(map(json.dumps, ODD_IDS)), ODD_IDS),
        (
            "\n".join(json.dumps(json.dumps({"itemId": each})) for each in ODD_IDS),
            ODD_IDS,
        ),
        ("\n".join(json.dumps(each, indent=2) for each in NESTED), ODD_IDS),
        ('{ "itemId":\n"1"\n}\n{ "itemId":\n"2"\n}', ["1", "2"]),
        (MARK + TABLE.getvalue(), ODD_IDS),
        ("Title;Item\r\nx;105\r\ny;106", ["105", "106"]),
        ("Title\tItem\nx\t105\ny\t106", ["105", "106"]),
        ("ITEM_ID\n105\n106\n", ["105", "106"]),
        # What would change an id fails.
        ("[105.0, 106]", None),
        ("[105, null]", None),
        ("105,Casino\n106,Heat\n", None),
    ],
)
def test_the_advice_makes_a_query_file_of_another_kind(content, expected, tmp_path):
    _, told = reason(read(content.encode()))
    [command] = re.findall(r'python3 (-c ".*" > NEW_FILE)', told)
    (tmp_path / "FILE").write_bytes(content.encode())
    heading = "ITEM_ID" if content.startswith("ITEM") else "Item"
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" {command.replace("COLUMN", heading)}'],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env={"PYTHONUTF8": "0", "LC_ALL": "C"},
    )
    assert (done.returncode == 0) == (expected is not None), done.stderr
    if expected is None:
        return
    found = read((tmp_path / "NEW_FILE").read_bytes(), placeholders=None)
    assert [type(each) for each in found] == [Good]
    assert [json.loads(each)["itemId"] for each in found[0].queries] == expected


def test_a_list_of_expressions_is_converted_to_expressions():
    for content in ('ITEMS.a = "x, y"', '["ITEMS.a = 1"]', '"ITEMS.a = 1"', "a,b"):
        _, told = reason(read(content.encode(), recipe=ITEM_ATTRIBUTE_AFFINITY))
        assert "json.dumps({'itemAttributes': " in told
        assert ("COLUMN" in told) == (content == "a,b")
    _, told = reason(read(b"[1999]", recipe=ITEM_ATTRIBUTE_AFFINITY))
    assert "python3" not in told


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (
            "\u00a0",
            "an invisible character, U+00A0, stands before the query; delete it",
        ),
        (" \u200b", "U+200B"),
        ("\ufeff\ufeff", "an invisible byte order mark, U+FEFF, stands before"),
    ],
)
def test_an_invisible_character_before_a_query_is_named(before, says):
    first, *rest = read(before.encode() + ONE + b"\n" + TWO)
    assert says in first.problems[0].reason
    assert rest == [Good(2, [TWO], [])]
    found = read(ONE + b"\n" + before.encode() + TWO)
    assert says in found[1].problems[0].reason


@pytest.mark.parametrize(
    "odd",
    ["1 ", " 1", '"1"', "1'", "1\r", "\ufeff1", "1\u00a0", "\u3000", "\u20181\u2019"],
)
def test_ids_that_a_conversion_may_have_spoilt_pass_with_a_doubt(odd):
    for ensure_ascii in (True, False):
        [good] = read(json.dumps({"itemId": odd}, ensure_ascii=ensure_ascii).encode())
        assert [json.loads(each) for each in good.queries] == [{"itemId": odd}]
        [doubt] = good.doubts
        assert "begin or end with a space, a quote or an invisible character" in doubt
    [good] = read(json.dumps({"itemId": f"a{odd}a"}).encode())
    assert good.doubts == []


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
