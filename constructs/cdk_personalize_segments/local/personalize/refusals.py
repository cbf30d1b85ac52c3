"""Parameters of emulated operations that local AWS does not honour.

A request that gives one is refused by its name, since it would otherwise be answered
as if it had taken effect. False is what the emulated service does anyway.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cdk_personalize_segments.local.personalize import errors

_KEYS: Final = "encryption with KMS keys is not emulated"
_TRAINING: Final = "the emulated recipes have no such setting"
_INCREMENTAL: Final = "the service has it for the semantic-similarity recipe only"
REFUSED: Final[Mapping[str, Mapping[str, str]]] = {
    "CreateBatchSegmentJob": {
        "jobInput.s3DataSource.kmsKeyArn": _KEYS,
        "jobOutput.s3DataDestination.kmsKeyArn": _KEYS,
    },
    "CreateDatasetGroup": {"kmsKeyArn": _KEYS, "roleArn": _KEYS},
    "CreateSolution": {
        "eventType": _TRAINING,
        "performAutoML": "the service advises against it",
        "performHPO": "the segment recipes do not support it",
        "performIncrementalUpdate": _INCREMENTAL,
        "solutionConfig.algorithmHyperParameters": _TRAINING,
        "solutionConfig.autoMLConfig": _TRAINING,
        "solutionConfig.eventValueThreshold": _TRAINING,
        "solutionConfig.eventsConfig": _TRAINING,
        "solutionConfig.featureTransformationParameters": _TRAINING,
        "solutionConfig.hpoConfig": "the segment recipes do not support it",
        "solutionConfig.optimizationObjective": _TRAINING,
        "solutionConfig.trainingDataConfig": _TRAINING,
    },
    "ListRecipes": {"domain": "recipes of domain use cases are not emulated"},
    "UpdateSolution": {
        "performIncrementalUpdate": _INCREMENTAL,
        "solutionUpdateConfig.eventsConfig": _TRAINING,
    },
}
"""Why each parameter is not honoured, by operation and path."""


def check(operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse a request that wants what is not honoured.

    Raises:
        PersonalizeError: NotImplemented, naming every such parameter.
    """
    reasons = REFUSED.get(operation, {})
    wanted = [
        f"{path} ({reasons[path]})"
        for path, value in _members(parameters)
        if path in reasons and value is not False
    ]
    if wanted:
        raise errors.not_emulated(
            f"{operation}: local AWS does not emulate {', '.join(wanted)}; leave out "
            "what is named"
        )


def _members(
    parameters: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in parameters.items():
        yield f"{prefix}{name}", value
        if isinstance(value, Mapping):
            yield from _members(value, f"{prefix}{name}.")
