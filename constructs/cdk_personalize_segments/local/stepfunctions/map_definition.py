"""Checks of what only a Distributed Map state has.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

from collections.abc import Mapping
from typing import Any, Final

from cdk_personalize_segments.local.stepfunctions.checks import (
    check_expressions,
    check_fields,
    check_whole,
    expression,
    is_one_of,
    wrong,
)
from cdk_personalize_segments.local.untyped import Json

DISTRIBUTED_FIELDS: Final = frozenset(
    {
        "ItemBatcher",
        "ItemReader",
        "Label",
        "ResultWriter",
        "ToleratedFailureCount",
        "ToleratedFailurePercentage",
    }
)
"""Fields of a Map state in mode DISTRIBUTED that an inline one has not."""
GET_OBJECT: Final = "arn:aws:states:::s3:getObject"
LIST_OBJECTS: Final = "arn:aws:states:::s3:listObjectsV2"
PUT_OBJECT: Final = "arn:aws:states:::s3:putObject"
READERS: Final[Mapping[str, frozenset[str]]] = {
    GET_OBJECT: frozenset({"Bucket", "Key", "VersionId"}),
    LIST_OBJECTS: frozenset({"Bucket", "Prefix"}),
}
"""What an ItemReader can call, and with which arguments."""
WRITER_ARGUMENTS: Final = frozenset({"Bucket", "Prefix"})
"""The arguments of a ResultWriter."""
DISTRIBUTED: Final = "DISTRIBUTED"
MODES: Final = (DISTRIBUTED, "INLINE")
"""How a Map state can run its iterations."""
INPUT_TYPES: Final = ("CSV", "JSON", "JSONL")
"""The formats of S3 objects that an ItemReader reads."""
DELIMITERS: Final[Mapping[str, str]] = {
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "SPACE": " ",
    "TAB": "\t",
}
"""What separates the fields of a CSV file, by `CSVDelimiter`."""
TRANSFORMATIONS: Final = ("COMPACT", "FLATTEN", "NONE")
"""What a ResultWriter can do with the results."""
MOST_ITEMS: Final = 100_000_000
_READER_CONFIG: Final = frozenset(
    {"CSVDelimiter", "CSVHeaderLocation", "CSVHeaders", "InputType", "MaxItems"}
)
_LONGEST_LABEL: Final = 40
# What a label must not hold, like names.
_NOT_IN_LABELS: Final = frozenset(' <>{}[]?*"#%\\^|~`$&,;:/')


def is_distributed(state: Mapping[str, Any]) -> bool:
    """Tell whether a Map state runs its iterations as child executions."""
    config = state["ItemProcessor"].get("ProcessorConfig", {})
    return bool(config.get("Mode") == DISTRIBUTED)


def check_mode(state: Mapping[str, Any], at: str) -> None:
    """Check the mode of a Map state, and what it has for it.

    Args:
        state: The Map state.
        at: Its place.

    Raises:
        InvalidDefinitionError: It is wrong, or not honoured.
    """
    config = state["ItemProcessor"].get("ProcessorConfig", {})
    place = f"{at}/ItemProcessor/ProcessorConfig"
    check_fields(config, frozenset({"ExecutionType", "Mode"}), place)
    if config.get("Mode", "INLINE") not in MODES:
        raise wrong(f"Mode is {' or '.join(MODES)}", f"{place}/Mode")
    if is_distributed(state):
        if config.get("ExecutionType") != "STANDARD":
            raise wrong(
                "local AWS runs child executions of ExecutionType STANDARD only",
                f"{place}/ExecutionType",
            )
        _distributed(state, at)
        return
    if "ExecutionType" in config:
        raise wrong("ExecutionType is for mode DISTRIBUTED", f"{place}/ExecutionType")
    for field in sorted(DISTRIBUTED_FIELDS & set(state)):
        raise wrong(f"field '{field}' is for mode DISTRIBUTED", f"{at}/{field}")


def _distributed(state: Mapping[str, Any], at: str) -> None:
    label = state.get("Label", "Label")
    if (
        not isinstance(label, str)
        or not 1 <= len(label) <= _LONGEST_LABEL
        or set(label) & _NOT_IN_LABELS
        or not label.isprintable()
    ):
        raise wrong(
            f"Label has at most {_LONGEST_LABEL} characters, none of them a space or "
            "special",
            f"{at}/Label",
        )
    check_whole(state, "ToleratedFailureCount", 0, at)
    percentage = state.get("ToleratedFailurePercentage", 0)
    if expression(percentage) is not None:
        check_expressions(percentage, f"{at}/ToleratedFailurePercentage")
    elif not _is_percentage(percentage):
        raise wrong("it must be from 0 to 100", f"{at}/ToleratedFailurePercentage")
    if "ItemReader" in state:
        if "Items" in state:
            raise wrong("a Map state has either Items or ItemReader", at)
        _reader(state["ItemReader"], f"{at}/ItemReader")
    if "ItemBatcher" in state:
        _batcher(state["ItemBatcher"], f"{at}/ItemBatcher")
    if "ResultWriter" in state:
        _writer(state["ResultWriter"], f"{at}/ResultWriter")


def _is_percentage(value: Json) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= 100
    )


def _reader(reader: Json, at: str) -> None:
    fields = frozenset({"Arguments", "ReaderConfig", "Resource"})
    check_fields(reader, fields, at, frozenset({"Arguments", "Resource"}))
    if not is_one_of(reader["Resource"], READERS):
        raise wrong(
            f"local AWS reads items with {' and '.join(READERS)} only",
            f"{at}/Resource",
        )
    _arguments(reader, READERS[reader["Resource"]], at)
    config = reader.get("ReaderConfig", {})
    place = f"{at}/ReaderConfig"
    check_fields(config, _READER_CONFIG, place)
    check_whole(config, "MaxItems", 1, place, MOST_ITEMS)
    if reader["Resource"] == LIST_OBJECTS:
        if set(config) - {"MaxItems"}:
            raise wrong("a list of objects has MaxItems only", place)
        return
    if config.get("InputType") not in INPUT_TYPES:
        raise wrong(
            f"local AWS reads items of InputType {', '.join(INPUT_TYPES)} only",
            f"{place}/InputType",
        )
    if config["InputType"] == "CSV":
        _csv(config, place)
    elif set(config) - {"InputType", "MaxItems"}:
        raise wrong("headers and delimiters are for InputType CSV", place)


def _csv(config: Mapping[str, Any], at: str) -> None:
    location = config.get("CSVHeaderLocation")
    if location not in ("FIRST_ROW", "GIVEN"):
        raise wrong("CSVHeaderLocation is FIRST_ROW or GIVEN", at)
    headers = config.get("CSVHeaders")
    if (location == "GIVEN") != (headers is not None):
        raise wrong("CSVHeaders goes with CSVHeaderLocation GIVEN", at)
    if headers is not None and not (
        isinstance(headers, list) and all(isinstance(each, str) for each in headers)
    ):
        raise wrong("CSVHeaders must be a list of strings", f"{at}/CSVHeaders")
    if not is_one_of(config.get("CSVDelimiter", "COMMA"), DELIMITERS):
        raise wrong(
            f"CSVDelimiter is one of {', '.join(DELIMITERS)}", f"{at}/CSVDelimiter"
        )


def _batcher(batcher: Json, at: str) -> None:
    limits = frozenset({"MaxInputBytesPerBatch", "MaxItemsPerBatch"})
    check_fields(batcher, limits | {"BatchInput"}, at)
    if not limits & set(batcher):
        raise wrong(f"it needs {' or '.join(sorted(limits))}", at)
    check_whole(batcher, "MaxItemsPerBatch", 1, at)
    check_whole(batcher, "MaxInputBytesPerBatch", 1, at, 256 * 1024)
    check_expressions(batcher.get("BatchInput"), f"{at}/BatchInput")


def _writer(writer: Json, at: str) -> None:
    check_fields(writer, frozenset({"Arguments", "Resource", "WriterConfig"}), at)
    if not writer or ("Resource" in writer) != ("Arguments" in writer):
        raise wrong("it has Resource and Arguments, WriterConfig, or all three", at)
    if "Resource" in writer:
        if writer["Resource"] != PUT_OBJECT:
            raise wrong(
                f"local AWS writes results with {PUT_OBJECT} only", f"{at}/Resource"
            )
        _arguments(writer, WRITER_ARGUMENTS, at)
    config = writer.get("WriterConfig", {})
    place = f"{at}/WriterConfig"
    check_fields(config, frozenset({"OutputType", "Transformation"}), place)
    if config.get("Transformation", "NONE") not in TRANSFORMATIONS:
        raise wrong(f"Transformation is one of {', '.join(TRANSFORMATIONS)}", place)
    if config.get("OutputType", "JSON") not in ("JSON", "JSONL"):
        raise wrong("OutputType is JSON or JSONL", place)
    if config.get("OutputType") == "JSONL" and "Resource" not in writer:
        raise wrong("local AWS writes JSONL to S3 only", f"{place}/OutputType")


def _arguments(holder: Mapping[str, Any], allowed: frozenset[str], at: str) -> None:
    arguments = holder["Arguments"]
    if expression(arguments) is None:
        needed = frozenset({"Bucket"}) | (allowed & {"Key"})
        check_fields(arguments, allowed, f"{at}/Arguments", needed)
    check_expressions(arguments, f"{at}/Arguments")
