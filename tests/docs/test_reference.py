"""The reference says what there is, and no more."""

import doctest
import inspect
import json
import re
from pathlib import Path

import command_line
import public_names
import pytest
import snippets

import cdk_personalize_segments
from segment_tasks import costs, failures, limits

DOCS = snippets.ROOT / "docs"
# Those that no handler ends a run with, but the state machine.
UNFORESEEN = {"UnexpectedError", "FailureNotRecorded"}


def _sections(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    return dict(section.split("\n", 1) for section in sections)


def test_every_error_has_a_section_that_says_what_to_do():
    sections = _sections("reference/errors.md")
    names = failures.NAMES | UNFORESEEN
    named = {each for each in sections if " " not in each}
    assert named == names, f"docs/reference/errors.md: {sorted(named ^ names)}"
    for name in names:
        assert "*What to do:*" in sections[name], name


def test_every_error_is_in_the_readme():
    readme = (snippets.ROOT / "README.md").read_text(encoding="utf-8")
    missing = {
        name
        for name in failures.NAMES | UNFORESEEN
        if not re.search(rf"^\| `{name}` \|", readme, re.MULTILINE)
    }
    assert not missing, f"README, Troubleshooting: {sorted(missing)}"


def test_the_limits_are_those_of_the_code():
    page = (DOCS / "reference" / "limits.md").read_text(encoding="utf-8")
    for value in (
        limits.MAX_ACTIVE_JOBS,
        limits.MAX_LINES,
        limits.MAX_NUM_RESULTS,
        limits.MAX_QUERY_FILES,
        *(each * limits.MAX_INPUT_FILES for each in limits.QUERIES_PER_FILE.values()),
    ):
        assert f"{value:,}" in page


def test_the_prices_are_those_of_the_code():
    text = (snippets.ROOT / "docs" / "guide" / "costs.md").read_text("utf-8")
    rows = re.findall(r"^\| (1[0-9,]*) .* \| (0\.\d+) \|$", text, re.MULTILINE)
    each = [float(usd) / int(count.replace(",", "")) for count, usd in rows]
    assert each == pytest.approx(
        [
            costs.TRANSITION,
            costs.CALL,
            *costs.GB_SECOND.values(),
            costs.WRITE,
            costs.READ,
            costs.GB_MONTH,
        ]
    )
    assert costs.REGION in text
    assert costs.PRICES_DATE in text
    assert all(f"]({source})" in text for source in costs.SOURCES)


@pytest.mark.parametrize("name", public_names.all_names())
def test_every_public_name_has_a_docstring(name):
    value = cdk_personalize_segments
    for part in name.split("."):
        owner, value = (
            value,
            inspect.getattr_static(value, part, None) or getattr(value, part),
        )
    if inspect.isclass(owner) and isinstance(value, owner):
        return  # A value of an enumeration, which the class describes.
    assert inspect.getdoc(getattr(value, "__func__", value)), (
        f"{name} has no docstring, which is its page in the reference"
    )


@pytest.mark.parametrize("name", public_names.exported())
def test_examples_in_docstrings_run(name):
    value = getattr(cdk_personalize_segments, name)
    found = doctest.DocTestFinder(recurse=False).find(
        value, name, globs=vars(cdk_personalize_segments) | {name: value}
    )
    for example in found:
        example.globs |= {
            each: getattr(cdk_personalize_segments, each)
            for each in public_names.exported()
        }
        assert not doctest.DocTestRunner().run(example).failed, name


def test_every_command_is_in_the_reference():
    page = command_line.page()
    for name, options in command_line.commands().items():
        assert f"\n## {name.removeprefix('personalize-segments ')}\n" in page
        for option in options:
            assert option in page


def test_the_readme_and_the_docs_show_the_example_test_as_it_is():
    code = (snippets.ROOT / "examples" / "test_my_stack.py").read_text(encoding="utf-8")
    page = (DOCS / "how-to" / "test-your-stack.md").read_text(encoding="utf-8")
    assert f"```python\n{code[code.index('def ') :]}```" in page


@pytest.mark.parametrize("event", list(cdk_personalize_segments.RunEvent))
def test_every_field_of_an_event_is_in_the_reference(event):
    section = _sections("reference/events.md")[event.value]
    if event is cdk_personalize_segments.RunEvent.FAILED:
        shared = cdk_personalize_segments.RunEvent.SUCCEEDED.value
        section += _sections("reference/events.md")[shared]
    name = "-".join(event.value.lower().split()[2:])
    package = Path(cdk_personalize_segments.__file__).parent
    schema = json.loads((package / "schemas" / f"{name}-1.json").read_text())
    fields = set(schema["properties"]["detail"]["properties"])
    assert fields == set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
