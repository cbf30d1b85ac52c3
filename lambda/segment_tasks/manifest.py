"""The manifest of a run: what happened, complete, also when the run failed."""

from collections.abc import Mapping
from typing import Any, Final

from . import objects
from .accounts import Accounts
from .failures import counted
from .locations import Locations, uri

SCHEMA_VERSION: Final = 1
# What only the tasks need of the account of a part.
_INTERNAL: Final = frozenset({"etag", "progress", "used"})


def build(
    places: Locations,
    event: Mapping[str, Any],
    run: Mapping[str, Any],
    plan: Mapping[str, Any] | None,
    accounts: Accounts,
    failure: Mapping[str, str] | None,
    cost: Mapping[str, Any],
) -> dict[str, Any]:
    """Build the manifest of a run, from the event of the task that ends it.

    The run has only a name, and there is no plan, if it failed before its input was
    prepared.
    """
    name = run["name"]
    return {
        "schemaVersion": SCHEMA_VERSION,
        "run": name,
        "status": "FAILED" if failure else "SUCCEEDED",
        "failure": failure,
        "executionArn": event["execution"]["arn"],
        "startedAt": event["execution"]["startedAt"],
        "finishedAt": event["now"],
        "solutionVersionArn": run.get("solutionVersionArn"),
        "recipe": run.get("recipe"),
        "filterArn": run.get("filterArn"),
        "numResults": run.get("numResults"),
        "job": _job(event["job"], run),
        "queries": {
            "total": accounts.queries,
            "distinct": run.get("distinct") or 0,
            "segments": accounts.sum("segments"),
            "empty": accounts.sum("empty"),
            "failed": accounts.sum("failed"),
            "missing": accounts.missing,
        },
        "users": accounts.sum("users"),
        "sources": plan["sources"] if plan else [],
        "results": {
            "queries": uri(places.output_bucket, places.queries_folder(name)),
            "users": uri(places.output_bucket, places.users_folder(name)),
        }
        if accounts.parts
        else None,
        "parts": [
            {key: each[key] for key in each if key not in _INTERNAL}
            for each in accounts.parts
        ],
        "invalidLines": run.get("invalidLines"),
        "cost": cost,
        "notes": [*(plan["notes"] if plan else []), *_notes(event, run, accounts)],
    }


def _job(
    job: Mapping[str, Any] | None, run: Mapping[str, Any]
) -> dict[str, Any] | None:
    if job is None:
        return None
    known = ("name", "arn", "status", "queuedSince", "createdAt", "updatedAt")
    return {
        **{key: job[key] for key in known},
        "input": run.get("input"),
        "output": job["output"],
    }


def _notes(
    event: Mapping[str, Any], run: Mapping[str, Any], accounts: Accounts
) -> list[str]:
    notes = []
    job = event["job"]
    if job and job["name"] != run["name"]:
        notes.append(f"The job {job['name']} of an earlier run was adopted.")
    unrecognized = accounts.sum("unrecognized")
    if unrecognized:
        notes.append(
            f"{counted(unrecognized, 'line')} of the raw output cannot be read, or "
            "answer no query of this run that is told apart and open; nothing in the "
            "results comes from there."
        )
    by_order = accounts.sum("byOrder")
    if by_order:
        notes.append(
            f"{counted(by_order, 'line')} of the raw output were matched by their "
            "order, which the service does not promise: the queries differ in filter "
            "values only, which its output does not repeat."
        )
    return notes


def write(places: Locations, manifest: Mapping[str, Any]) -> None:
    """Write a run's manifest beside its results."""
    objects.write_json(
        places.output_bucket, places.manifest(str(manifest["run"])), manifest
    )
