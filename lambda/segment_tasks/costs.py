"""What a run costs on AWS, without Personalize: what it used, and an estimate in USD.

The state machine and its functions count what they do; what Step Functions or Lambda
repeat after an error of theirs is not seen and so not counted.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from . import times
from .accounts import Accounts
from .usage import MEMORY, Meter

REGION: Final = "us-east-1"
# When the prices below were last compared with published ones.
PRICES_DATE: Final = "2026-11-26"
SOURCES: Final = (
    "https://aws.amazon.com/step-functions/pricing/",
    "https://aws.amazon.com/lambda/pricing/",
    "https://aws.amazon.com/s3/pricing/",
)
# In USD, without free tiers and discounts. docs/guide/costs.md has them, too.
TRANSITION: Final = 0.025 / 1_000
CALL: Final = 0.20 / 1_000_000
GB_SECOND: Final = {"aarch64": 0.0000133334, "x86_64": 0.0000166667}
WRITE: Final = 0.005 / 1_000
READ: Final = 0.0004 / 1_000
GB_MONTH: Final = 0.023

# Creating a job and looking at it take a request or two: less than this, as a rule.
_SHORT_CALL_SECONDS: Final = 1
_LONGEST_CALL_SECONDS: Final = 900
_DIGITS: Final = 9

# States whose error was caught: what was entered against what is counted for them.
_CAUGHT: Final = {
    "Prepare input": -1,
    "Create job": -1,
    # Its number is told by its result only.
    "Look at the job": 2,
    "Collect segments": -2,
    "Account for every query": -1,
}
_COLLECTED: Final = frozenset({"Collect segments", "Account for every query"})


def of_run(
    event: Mapping[str, Any], accounts: Accounts, meter: Meter
) -> dict[str, Any]:
    """Return what a run used and costs, for its manifest.

    Args:
        event: The event of the task that ends the run.
        accounts: The accounts of its parts.
        meter: What that task has used so far.
    """
    used = _used(event, accounts, meter)
    usd = {
        "transitions": used["transitions"] * TRANSITION,
        "functions": used["functionCalls"] * CALL
        + used["functionGbSeconds"] * GB_SECOND[_processor()],
        "requests": used["writeRequests"] * WRITE + used["readRequests"] * READ,
    }
    return {
        "currency": "USD",
        "prices": {
            "region": REGION,
            "date": PRICES_DATE,
            "sources": list(SOURCES),
        },
        "used": used,
        **{what: round(price, _DIGITS) for what, price in usd.items()},
        "total": round(sum(usd.values()), _DIGITS),
        "storagePerMonth": round(used["storedBytes"] / 2**30 * GB_MONTH, _DIGITS),
    }


def _processor() -> str:
    # As Linux and macOS call it.
    is_arm = os.uname().machine in {"aarch64", "arm64"}
    return "aarch64" if is_arm else "x86_64"


def _used(
    event: Mapping[str, Any], accounts: Accounts, meter: Meter
) -> dict[str, float]:
    prepared = (event["run"] or {}).get("used") or {}
    # The manifest, which holds this, is still to be written.
    here = meter.used(more_writes=1)

    def of_s3(what: str) -> int:
        of_parts = sum(each["used"][what] for each in accounts.parts)
        return int(prepared.get(what, 0) + of_parts + here[what])

    calls = _calls(event)
    return {
        "transitions": transitions(event),
        "functionCalls": sum(calls.values()),
        "functionGbSeconds": round(_gb_seconds(event, calls, accounts, meter), 3),
        "writeRequests": of_s3("writes"),
        "readRequests": of_s3("reads"),
        "storedBytes": of_s3("bytes")
        + sum(each["used"]["raw"] for each in accounts.parts),
    }


def _calls(event: Mapping[str, Any]) -> dict[str, int]:
    """Return how often each function was called."""
    job, looking = event["job"], event["looking"]
    collected = _is_collected(event)
    return {
        "prepare": 1,
        "create_job": event["waiting"]["attempts"] + 1 if _is_prepared(event) else 0,
        "poll_job": job["looks"] if job else 0,
        "collect": looking["parts"] if collected else 0,
        "finish": looking["rounds"] if collected else 1,
    }


def _gb_seconds(
    event: Mapping[str, Any],
    calls: Mapping[str, int],
    accounts: Accounts,
    meter: Meter,
) -> float:
    of_parts = sum(each["used"]["milliseconds"] for each in accounts.parts)
    seconds: dict[str, float] = {
        # By the clock of Step Functions, which is a little more.
        "prepare": min(
            times.seconds_since(event["execution"]["startedAt"], _prepared_at(event)),
            _LONGEST_CALL_SECONDS,
        ),
        "create_job": calls["create_job"] * _SHORT_CALL_SECONDS,
        "poll_job": calls["poll_job"] * _SHORT_CALL_SECONDS,
        "collect": of_parts / 1000,
        # They all do the same.
        "finish": calls["finish"] * meter.milliseconds() / 1000,
    }
    return sum(seconds[task] * megabytes / 1024 for task, megabytes in MEMORY.items())


def _prepared_at(event: Mapping[str, Any]) -> str:
    """Return when a run first tried to create its job, or ended without that."""
    job, waiting = event["job"], event["waiting"]
    since = job["queuedSince"] if job else waiting["since"]
    return str(since or event["now"])


def transitions(event: Mapping[str, Any]) -> int:
    """Return how many states a run enters from its start to its end.

    Args:
        event: The event of the task that ends it.
    """
    waiting, job, looking = event["waiting"], event["job"], event["looking"]
    # Prepare input; Input ready?
    entered = 2
    if _is_prepared(event):
        # Create job; Job created?; between two of them Wait for a job slot.
        entered += 3 * waiting["attempts"] + 2
    if job:
        # Wait for the job; Look at the job; Job finished?
        entered += 3 * job["looks"]
    if _is_collected(event):
        # Collect segments and its parts; Account for every query; Every query
        # accounted for?; between two of them Wait for missing output.
        entered += looking["parts"] + 4 * looking["rounds"] - 1
    if event["failure"]:
        entered += _CAUGHT.get(event["failure"].get("state", ""), 0)
    # Record failure; the end.
    return entered + (2 if event["failure"] else 1)


def _is_prepared(event: Mapping[str, Any]) -> bool:
    return bool((event["run"] or {}).get("prepared"))


def _is_collected(event: Mapping[str, Any]) -> bool:
    failure = event["failure"]
    return failure is None or failure.get("state") in _COLLECTED
