"""Says what a run costs: AWS as its manifest has it, Personalize by a given price."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import typer

from cdk_personalize_segments.cli import screen

_UNITS: Final = ("query", "1000-users", "run")


class PersonalizePrice(NamedTuple):
    """What Personalize charges for a job, as the user says.

    Attributes:
        usd: The price in USD.
        per: What it is for: one of `query`, `1000-users` and `run`.
    """

    usd: float
    per: str

    def of(self, manifest: Mapping[str, Any]) -> float:
        """Return what it comes to in USD for a run.

        Args:
            manifest: The run's manifest.
        """
        units = {
            "query": manifest["queries"]["distinct"],
            "1000-users": manifest["users"] / 1000,
            "run": 1,
        }
        return float(self.usd * units[self.per])


def price(text: str) -> PersonalizePrice:
    """Read a price such as `0.05/query`.

    Raises:
        typer.BadParameter: It is none.
    """
    amount, _, per = text.partition("/")
    try:
        usd = float(amount)
    except ValueError:
        usd = -1.0
    if not 0 <= usd < float("inf") or per not in _UNITS:
        raise typer.BadParameter(
            f"{text!r} is no price; write USD per unit, like 0.05/query, with one of "
            f"the units {', '.join(_UNITS)}."
        )
    return PersonalizePrice(usd, per)


def estimate(
    manifest: Mapping[str, Any], personalize: PersonalizePrice | None
) -> dict[str, Any]:
    """Return what a run costs, for programs.

    Args:
        manifest: The run's manifest.
        personalize: What Personalize charges, if that is known.
    """
    return {
        **manifest["cost"],
        "personalize": None if personalize is None else personalize.of(manifest),
    }


def show(manifest: Mapping[str, Any], personalize: PersonalizePrice | None) -> None:
    """Tell what a run costs.

    Args:
        manifest: The run's manifest.
        personalize: What Personalize charges, if that is known.
    """
    cost = manifest["cost"]
    used, prices = cost["used"], cost["prices"]
    screen.line(
        f"Cost on AWS, estimated: {_usd(cost['total'])} "
        f"({screen.count(used['transitions'], 'transition')} "
        f"{_usd(cost['transitions'])}, "
        f"{screen.count(used['functionCalls'], 'function call')} "
        f"{_usd(cost['functions'])}, "
        f"{screen.count(used['writeRequests'] + used['readRequests'], 'request')} to "
        f"S3 {_usd(cost['requests'])}), and {_usd(cost['storagePerMonth'])} for each "
        f"month that {_bytes(used['storedBytes'])} are kept; list prices of "
        f"{prices['region']} of {prices['date']}."
    )
    if personalize is None:
        screen.line(
            "Personalize's own price is not known here and not part of it; "
            f"`personalize-segments status {manifest['run']} --personalize-price` "
            "adds it."
        )
        return
    own = personalize.of(manifest)
    screen.line(
        f"Personalize, at {personalize.usd:g} USD/{personalize.per}: {_usd(own)}; "
        f"together {_usd(own + cost['total'])}."
    )


def _usd(amount: float) -> str:
    return f"{amount:.4f} USD" if amount < 1 else f"{amount:,.2f} USD"


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number} bytes"
