"""The plan of a run: the record that commits its prepared input."""

from typing import Any, Final

from . import objects
from .failures import InvalidInput, OutputIncomplete
from .locations import Locations, uri

_SCHEMA_VERSION: Final = 1
_KEPT: Final = "a pipeline's own bucket keeps prepared input for 30 days"


def write(
    places: Locations,
    run: dict[str, Any],
    parts: int,
    sources: list[dict[str, Any]],
    notes: list[str],
) -> dict[str, Any]:
    """Commit a run's prepared input; return its plan."""
    plan = {
        "schemaVersion": _SCHEMA_VERSION,
        "run": run,
        "parts": parts,
        "sources": sources,
        "notes": notes,
    }
    objects.write_json(places.input_bucket, places.plan(run["name"]), plan)
    return plan


def read(places: Locations, run: str) -> dict[str, Any] | None:
    """Return a run's plan, or None where the run has no prepared input."""
    plan: dict[str, Any] | None = objects.read_json(
        places.input_bucket, places.plan(run)
    )
    return plan


def gone(bucket: str, key: str) -> OutputIncomplete:
    """Say that the record of what was asked is gone."""
    return OutputIncomplete(
        f"{uri(bucket, key)}, which says what was asked, is gone; {_KEPT}. The raw "
        "output is not touched."
    )


def resumed(places: Locations, name: str, old: str) -> dict[str, Any]:
    """Commit a run that uses the prepared input of another.

    Raises:
        InvalidInput: The old run has no prepared input (any more).
    """
    plan = read(places, old)
    prepared = plan and read(places, plan["run"]["prepared"])
    if not plan or not prepared:
        raise InvalidInput(
            f"The run {old} cannot be resumed: there is no such run, it ended before "
            "its input was prepared, or the prepared input has expired "
            f"({_KEPT}); start a run without resume."
        )
    run = {
        **plan["run"],
        "name": name,
        "jobName": name,
        "adoptable": [plan["run"]["jobName"], *plan["run"]["adoptable"]],
        "output": uri(places.output_bucket, places.output_folder(name)),
        "used": None,
    }
    note = f"This run resumes {old}: it uses the input that {run['prepared']} prepared."
    return write(places, run, plan["parts"], plan["sources"], [*plan["notes"], note])
