"""Which state an alarm's data points mean, also when some are missing.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
alarms-and-missing-data.html. More periods are looked at than are evaluated. How many
more is not documented: the guide's examples have 5 for 3, so here it is always 2 more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MORE_PERIODS: Final = 2
"""How many periods are looked at besides those that are evaluated."""
COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (
        lambda value, threshold: value >= threshold,
        "greater than or equal to",
    ),
    "GreaterThanThreshold": (
        lambda value, threshold: value > threshold,
        "greater than",
    ),
    "LessThanOrEqualToThreshold": (
        lambda value, threshold: value <= threshold,
        "less than or equal to",
    ),
    "LessThanThreshold": (lambda value, threshold: value < threshold, "less than"),
}
"""How values may compare with a threshold, and the words for it."""
MISSING: Final = ("breaching", "ignore", "missing", "notBreaching")
"""What missing data may count as."""
DEFAULT_MISSING: Final = "missing"


@dataclass(frozen=True)
class Rule:
    """When an alarm is in ALARM.

    Attributes:
        comparison: How values compare with the threshold, by its name.
        threshold: The threshold.
        periods: How many periods are evaluated.
        needed: In how many of them the comparison must hold.
        missing: What missing data counts as.
    """

    comparison: str
    threshold: float
    periods: int
    needed: int
    missing: str

    @property
    def looked_at(self) -> int:
        """How many periods are looked at."""
        return self.periods + MORE_PERIODS

    def breaches(self, value: float) -> bool:
        """Tell whether a value is one for ALARM."""
        return COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True)
class Verdict:
    """A state, and why.

    Attributes:
        state: OK, ALARM or INSUFFICIENT_DATA.
        reason: A sentence as AWS's.
    """

    state: str
    reason: str


def judge(
    rule: Rule, points: Sequence[tuple[str, float | None]], state: str
) -> Verdict | None:
    """Tell which state data points mean.

    Args:
        rule: When it is ALARM.
        points: The values of all periods that are looked at, oldest first, each with
            its time as it is to be written; None for what is missing.
        state: The state so far.

    Returns:
        The state, or None if it stays what it is, whatever it is.
    """
    found = [(at, value) for at, value in points if value is not None]
    lacking = max(rule.periods - len(found), 0)
    evaluated = found[-rule.periods :]
    breaching = sum(rule.breaches(value) for _, value in evaluated)
    treated = {"breaching": lacking, "notBreaching": 0}.get(rule.missing, 0)
    if breaching + treated >= rule.needed:
        return Verdict("ALARM", _crossed(rule, evaluated, lacking, state, breaching))
    if lacking and rule.missing in ("ignore", "missing"):
        if not found:
            return _nothing(rule)
        if breaching == len(evaluated):
            return _only_breaching(rule, points, evaluated, lacking, state)
    return Verdict("OK", _crossed(rule, evaluated, lacking, state, None))


def _nothing(rule: Rule) -> Verdict | None:
    if rule.missing == "ignore":
        return None
    return Verdict(
        "INSUFFICIENT_DATA",
        f"Insufficient Data: {_number(rule.periods, 'datapoint')} "
        f"{'was' if rule.periods == 1 else 'were'} unknown.",
    )


def _only_breaching(
    rule: Rule,
    points: Sequence[tuple[str, float | None]],
    evaluated: Sequence[tuple[str, float]],
    lacking: int,
    state: str,
) -> Verdict | None:
    """Judge too few data points that all breach.

    That is an ALARM if the oldest is at least as old as it takes breaching ones.
    """
    if rule.missing == "ignore":
        return None
    age = next(
        len(points) - place
        for place, (_, value) in enumerate(points)
        if value is not None
    )
    if age >= rule.needed:
        crossed = _crossed(rule, evaluated, lacking, state, len(evaluated))
        return Verdict("ALARM", crossed)
    return Verdict(
        "INSUFFICIENT_DATA",
        f"Insufficient Data: {_number(lacking, 'datapoint')} "
        f"{'was' if lacking == 1 else 'were'} unknown.",
    )


def _crossed(
    rule: Rule,
    evaluated: Sequence[tuple[str, float]],
    lacking: int,
    state: str,
    breaching: int | None,
) -> str:
    """Write the reason of ALARM, with how many breach, or else of OK."""
    treated = {"breaching": "Breaching", "notBreaching": "NonBreaching"}
    if not evaluated:
        periods = _number(rule.periods, "period")
        missing = _number(lacking, "missing datapoint")
        return (
            f"Threshold Crossed: no datapoints were received for {periods} and "
            f"{missing} {'was' if lacking == 1 else 'were'} treated as "
            f"[{treated[rule.missing]}]."
        )
    listed = ", ".join(f"{value} ({at})" for at, value in reversed(evaluated))
    words = COMPARISONS[rule.comparison][1]
    if breaching is None:
        verb = "was" if len(evaluated) == 1 else "were"
        return (
            f"Threshold Crossed: {_number(len(evaluated), 'datapoint')} [{listed}] "
            f"{verb} not {words} the threshold ({rule.threshold})."
        )
    verb = "was" if breaching == 1 else "were"
    return (
        f"Threshold Crossed: {breaching} out of the last {len(evaluated)} datapoints "
        f"[{listed}] {verb} {words} the threshold ({rule.threshold}) (minimum "
        f"{_number(rule.needed, 'datapoint')} for {state} -> ALARM transition)."
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
