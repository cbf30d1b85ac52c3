"""What people are told of a run: short messages, in plain words."""

from collections.abc import Mapping
from typing import Any, Final

from . import consoles, limits, times
from .failures import counted, shorten

# SNS asks for fewer than 100 characters.
MAX_SUBJECT_LENGTH: Final = 99
_MAX_CAUSE_LENGTH: Final = 2000
_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_ENDS: Final = {
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timed out",
    "ABORTED": "was aborted",
}


def of_end(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Write subject and body of the message about a run that ended.

    The detail is that of the event that tells the same to machines.
    """
    nothing_to_do = detail["nothingToDo"]
    if nothing_to_do:
        what, sentences = "run had nothing to do", [nothing_to_do]
    elif detail["status"] == "SUCCEEDED":
        what, sentences = f"run succeeded{_but(detail)}", []
    else:
        end = _ENDS[detail["status"]].removeprefix("was ")
        named = f" ({detail['error']})" if detail["status"] == "FAILED" else ""
        what = f"run {end}{named}"
        sentences = [shorten(detail["cause"], _MAX_CAUSE_LENGTH)]
    headline = f"The run {detail['run']} {_ENDS[detail['status']]}{_but(detail)}."
    if nothing_to_do:
        headline = f"The run {detail['run']} had nothing to do."
    lines = [headline, *_paragraphs(sentences), "", *_facts(detail)]
    return _subject(detail, what), _body(lines)


def of_queueing(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Write subject and body of the message about a run that waits for a job slot."""
    waited = duration(detail["waitedSeconds"])
    timeout = duration(detail["queueTimeoutSeconds"])
    sentences = [
        f"The run {detail['run']} has waited for a job slot for {waited}; the "
        f"pipeline's queue_timeout is {timeout}. If none comes free, the run fails "
        f"at {_clock(detail['failsAt'])} with QueueTimeout.",
        f"Personalize said: {shorten(detail['reason'], _MAX_CAUSE_LENGTH)}",
        f"Up to {limits.MAX_ACTIVE_JOBS} jobs may be pending or running per account "
        "and Region, whoever started them: see which ones do, and whether they are to "
        "go on. This run then goes on by itself.",
    ]
    lines = [*_paragraphs(sentences)[1:], "", *_where(detail)]
    return _subject(detail, f"run has waited for a job slot for {waited}"), _body(lines)


def duration(seconds: float) -> str:
    """Write how long something took, in its two largest units."""
    left = int(seconds)
    texts = []
    for name, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            texts.append(counted(number, name))
    return " ".join(texts[:2]) or "0 seconds"


def console_link(execution_arn: str) -> str:
    """Return the address of an execution in the console of its partition."""
    region = execution_arn.split(":")[3]
    console = consoles.address(region)
    return (
        f"{console}/states/home?region={region}#/v2/executions/details/{execution_arn}"
    )


def _but(detail: Mapping[str, Any]) -> str:
    failed = detail["failedQueries"]
    if detail["status"] != "SUCCEEDED" or not failed:
        return ""
    return f", but {failed:,} of {detail['queries']:,} queries failed"


def _subject(detail: Mapping[str, Any], what: str) -> str:
    """Write a subject as SNS takes it: ASCII, in one line."""
    text = f"{detail['pipeline']}: {what}"
    text = text.encode("ascii", "replace").decode()
    return "".join(each if each.isprintable() else "?" for each in text)[
        :MAX_SUBJECT_LENGTH
    ]


def _body(lines: list[str]) -> str:
    # Half a character, which JSON can name but UTF-8 cannot, becomes its escape.
    return "\n".join(lines).encode(errors="backslashreplace").decode() + "\n"


def _paragraphs(sentences: list[str]) -> list[str]:
    return [line for each in sentences for line in ("", each)]


def _facts(detail: Mapping[str, Any]) -> list[str]:
    """List what is known of a run, a line each."""
    facts = [("Input", _input(detail["input"]))]
    if detail["queries"] is not None:
        facts.append(("Queries", _queries(detail)))
    if detail["skippedLines"]:
        facts.append(("Skipped", counted(detail["skippedLines"], "line")))
    if detail["users"] is not None:
        facts.append(("Users", f"{detail['users']:,}"))
    facts.append(("Time", _time(detail)))
    if detail["results"]:
        facts.append(("Results", detail["results"]))
    elif detail["manifest"]:
        facts.append(("Manifest", detail["manifest"]))
    return [*_table(facts), *_where(detail)]


def _where(detail: Mapping[str, Any]) -> list[str]:
    return _table(
        [
            ("Pipeline", detail["pipeline"]),
            ("Execution", console_link(detail["executionArn"])),
        ]
    )


def _table(facts: list[tuple[str, str]]) -> list[str]:
    return [f"{name + ':':<11}{value}" for name, value in facts]


def _input(asked: Mapping[str, Any] | None) -> str:
    if asked is None:
        return "not known"
    if asked["resume"]:
        return f"that of the run {asked['resume']}"
    if asked["files"] is not None:
        return counted(asked["files"], "uploaded file")
    return str(asked["queries"] or "all query files")


def _queries(detail: Mapping[str, Any]) -> str:
    failed = detail["failedQueries"]
    return f"{detail['queries']:,}" + (f", {failed:,} failed" if failed else "")


def _time(detail: Mapping[str, Any]) -> str:
    taken = times.seconds_since(detail["startedAt"], detail["endedAt"])
    parts = [f"{duration(taken)} in all"]
    for name, key in (("queued", "queuedSeconds"), ("worked", "workedSeconds")):
        if detail[key] is not None:
            parts.append(f"{name} {duration(detail[key])}")
    return ", ".join(parts)


def _clock(instant: str) -> str:
    return f"{times.parse(instant):%Y-%m-%d %H:%M} UTC"
