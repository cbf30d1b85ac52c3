"""Starts runs over files that were just uploaded, as a queue tells of them.

A batch becomes as few executions as can hold it. What is told twice is harmless: an
execution of the same files is not started again, and of others each run claims its own.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from . import clients, limits, log_fields
from .aws_errors import SDK_ERRORS, message
from .uploads import Upload

_log = logging.getLogger(__name__)

# Of the 256 KB that the input of an execution, and of each of its states, may have: the
# pipeline's tags and other defaults come to it.
_MAX_INPUT_BYTES: Final = 180_000
_NAME_LENGTH: Final = 32
# What S3 says where versioning was never on, or is suspended.
_NO_VERSION: Final = (None, "", "null")


class _Told(NamedTuple):
    """An uploaded file, and the messages that tell of it."""

    upload: Upload
    order: str
    messages: list[str]


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Start executions over the uploads of a batch of messages.

    Returns:
        Which messages are to come again, as Lambda expects it.
    """
    told, failed = _read(event["Records"])
    for group in _packed(told):
        if not _start([each.upload for each in group]):
            failed += [name for each in group for name in each.messages]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _read(records: list[Mapping[str, Any]]) -> tuple[list[_Told], list[str]]:
    """Read messages: what they tell, each upload once, and those that tell nothing."""
    found: dict[str, _Told] = {}
    failed = []
    for record in records:
        message_id = record["messageId"]
        try:
            upload, order = _upload(json.loads(record["body"]))
        except (AttributeError, KeyError, TypeError, ValueError):
            _say(logging.ERROR, "Message is no upload", messageId=message_id)
            failed.append(message_id)
            continue
        if upload.key.endswith("/"):
            # The console makes such an object for a folder.
            _say(logging.INFO, "Folder without content left out", messageId=message_id)
            continue
        known = found.setdefault(upload.name, _Told(upload, order, []))
        known.messages.append(message_id)
    # The versions of a file in the order of their uploads.
    told = sorted(found.values(), key=lambda each: (each.upload.key, each.order))
    return told, failed


def _upload(told: Mapping[str, Any]) -> tuple[Upload, str]:
    """Read what S3 says of an object, and what it orders the events of a key by.

    It may come as the whole event: so it is in the dead letters of EventBridge, which
    can be sent to the queue by hand.
    """
    told = told["detail"]["object"] if "detail" in told else told
    version, sequencer = told.get("version-id"), str(told["sequencer"])
    if version in _NO_VERSION:
        version = None
    upload = Upload(
        key=str(told["key"]),
        version_id=version,
        sequencer=None if version else sequencer,
        etag=str(told["etag"]),
        size=int(told["size"]),
    )
    return upload, sequencer


def _packed(told: list[_Told]) -> Iterator[list[_Told]]:
    """Put uploads together as far as one execution, and one job, can take them."""
    group: list[_Told] = []
    described = data = 0
    for each in told:
        length = len(_json(each.upload.described())) + 1
        if group and (
            described + length > _MAX_INPUT_BYTES
            or data + each.upload.size > limits.MAX_QUERY_BYTES
            or len(group) == limits.MAX_QUERY_FILES
        ):
            yield group
            group, described, data = [], 0, 0
        group.append(each)
        described += length
        data += each.upload.size
    if group:
        yield group


def _start(uploads: list[Upload]) -> bool:
    """Start an execution; tell whether there is one now."""
    text = _json({"files": [each.described() for each in uploads]})
    name = f"upload-{hashlib.sha256(text.encode()).hexdigest()[:_NAME_LENGTH]}"
    try:
        started = clients.stepfunctions().start_execution(
            stateMachineArn=os.environ["STATE_MACHINE_ARN"], name=name, input=text
        )
    except clients.stepfunctions().exceptions.ExecutionAlreadyExists:
        # Of the same files: the messages came twice.
        _say(logging.INFO, "Started before", executionName=name, files=len(uploads))
        return True
    except SDK_ERRORS as error:
        _say(
            logging.ERROR,
            "Execution not started; the messages come again",
            files=len(uploads),
            error=message(error),
        )
        return False
    _say(
        logging.INFO,
        "Execution started",
        execution=started["executionArn"],
        files=len(uploads),
    )
    return True


def _say(level: int, text: str, **fields: object) -> None:
    _log.log(level, text, extra=log_fields.of({}, **fields))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
