"""S3 and Personalize within the process, so that only the functions are measured."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from botocore.exceptions import ClientError
from content import Content, Held

from segment_tasks import clients

ACCOUNT: Final = "111122223333"
PERSONALIZE: Final = f"arn:aws:personalize:us-east-1:{ACCOUNT}"
VERSION: Final = f"{PERSONALIZE}:solution/films/0a1b2c3d"
FILTER: Final = f"{PERSONALIZE}:filter/countries"
INPUT_BUCKET: Final = "inputs"
OUTPUT_BUCKET: Final = "outputs"
_DATASET_GROUP: Final = f"{PERSONALIZE}:dataset-group/films"
_ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_REGION": "us-east-1",
    "INPUT_BUCKET": INPUT_BUCKET,
    "QUERIES_PREFIX": "queries/",
    "INPUT_PREFIX": "input/",
    "OUTPUT_BUCKET": OUTPUT_BUCKET,
    "OUTPUT_PREFIX": "output/",
    "RESULTS_PREFIX": "results/",
    "RUN_PREFIX": "films",
    "SERVICE_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/service",
}
_ETAG: Final = '"0123456789abcdef"'
_VERSION_ID: Final = "v1"
_AT_MOST: Final = 1000


class Context:
    """What a function is told of its call: that it has all the time there is."""

    def get_remaining_time_in_millis(self) -> int:
        """Return a function's longest time."""
        return 900_000


class Body:
    """The body of an answer, read as a stream."""

    def __init__(self, s3: "S3", content: Content, start: int, end: int) -> None:
        """Set what to read."""
        self._s3 = s3
        self._chunks = content.chunks(start)
        self._left = end - start
        self._rest = b""

    def read(self, amount: int | None = None) -> bytes:
        """Read some bytes, or all; making them is no work of the function's."""
        started = time.thread_time()
        wanted = self._left if amount is None else min(amount, self._left)
        pieces, size = [self._rest], len(self._rest)
        while size < wanted:
            pieces.append(next(self._chunks))
            size += len(pieces[-1])
        data = b"".join(pieces)
        self._rest, data = data[wanted:], data[:wanted]
        self._left -= wanted
        self._s3.count_read(wanted, time.thread_time() - started)
        return data

    def iter_chunks(self, chunk_size: int = 1024) -> Iterator[bytes]:
        """Read piece by piece."""
        while chunk := self.read(chunk_size):
            yield chunk

    def close(self) -> None:
        """Do nothing: there is no connection."""


class _Dropped:
    """What was written and not kept."""

    def __init__(self, size: int) -> None:
        self.size = size

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        raise AssertionError("what was not kept is read")


class S3:
    """As much of an S3 client as the functions use.

    Attributes:
        keeps: Whether to keep what is written, and not just its size.
        cpu: The CPU seconds that making content took.
        bytes_read: How many bytes were read; likewise `bytes_written`.
        requests: How often each operation was called.
        at_once: How many of these requests were made beside others.
    """

    def __init__(self, *, keeps: bool) -> None:
        """Set whether to keep what is written."""
        self.keeps = keeps
        self.cpu = 0.0
        self.bytes_read = 0
        self.bytes_written = 0
        self.requests: Counter[str] = Counter()
        self.at_once = 0
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], Content] = {}
        self._uploads: dict[str, list[bytes | int]] = {}

    def forget(self) -> None:
        """Count anew."""
        self.requests.clear()
        self.at_once = self.bytes_read = self.bytes_written = 0

    def count_read(self, size: int, seconds: float) -> None:
        """Count bytes that were read, and the time that making them took."""
        with self._lock:
            self.bytes_read += size
            self.cpu += seconds

    def _count(self, operation: str) -> None:
        with self._lock:
            self.requests[operation] += 1
            # That is all that the functions have threads for.
            if threading.current_thread() is not threading.main_thread():
                self.at_once += 1

    def _count_written(self, size: int) -> None:
        with self._lock:
            self.bytes_written += size

    def put(self, bucket: str, key: str, content: Content) -> None:
        """Put an object there, which is no request of a function."""
        self._objects[bucket, key] = content

    def content(self, bucket: str, key: str) -> Content:
        """Return what an object holds."""
        return self._objects[bucket, key]

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys with a prefix, in order."""
        return sorted(
            key
            for where, key in self._objects
            if (where, key[: len(prefix)]) == (bucket, prefix)
        )

    def clear(self, prefix: str) -> None:
        """Remove the objects with a prefix."""
        for bucket, key in list(self._objects):
            if key.startswith(prefix):
                del self._objects[bucket, key]

    def get_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Range: str | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
        VersionId: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Open an object."""
        self._count("GetObject")
        content = self._objects.get((Bucket, Key))
        if content is None:
            raise _error("NoSuchKey", "GetObject")
        if IfMatch is not None and IfMatch.strip('"') != _ETAG.strip('"'):
            raise _error("PreconditionFailed", "GetObject")
        if VersionId not in {None, _VERSION_ID}:
            raise _error("NoSuchVersion", "GetObject")
        start, end = 0, content.size
        if Range is not None:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            start, end = int(first), min(end, int(last) + 1 if last else end)
        return {
            "Body": Body(self, content, start, end),
            "ContentLength": end - start,
            "ETag": _ETAG,
            "VersionId": _VERSION_ID,
        }

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        **_: object,
    ) -> dict[str, Any]:
        """Write an object."""
        self._count("PutObject")
        self._count_written(len(Body))
        self.put(Bucket, Key, Held(Body) if self.keeps else _Dropped(len(Body)))
        return {"ETag": _ETAG, "VersionId": _VERSION_ID}

    def create_multipart_upload(self, **_: object) -> dict[str, str]:
        """Begin to write an object in pieces."""
        self._count("CreateMultipartUpload")
        upload = str(len(self._uploads))
        self._uploads[upload] = []
        return {"UploadId": upload}

    def upload_part(
        self,
        *,
        UploadId: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        **_: object,
    ) -> dict[str, str]:
        """Write a piece of an object."""
        self._count("UploadPart")
        self._count_written(len(Body))
        self._uploads[UploadId].append(Body if self.keeps else len(Body))
        return {"ETag": _ETAG}

    def complete_multipart_upload(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        UploadId: str,  # noqa: N803
        **_: object,
    ) -> dict[str, str]:
        """Let an object that was written in pieces come to be."""
        self._count("CompleteMultipartUpload")
        pieces = self._uploads.pop(UploadId)
        kept = [each for each in pieces if isinstance(each, bytes)]
        sizes = [each for each in pieces if isinstance(each, int)]
        self.put(Bucket, Key, Held(b"".join(kept)) if kept else _Dropped(sum(sizes)))
        return {"ETag": _ETAG, "VersionId": _VERSION_ID}

    def abort_multipart_upload(self, *, UploadId: str, **_: object) -> None:  # noqa: N803
        """Drop what was written of an object."""
        del self._uploads[UploadId]

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        MaxKeys: int = _AT_MOST,  # noqa: N803
        StartAfter: str = "",  # noqa: N803
        ContinuationToken: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """List objects."""
        self._count("ListObjectsV2")
        found, more = self._page(
            Bucket, Prefix, MaxKeys, ContinuationToken or StartAfter
        )
        answer: dict[str, Any] = {"Contents": found, "IsTruncated": more}
        if more:
            answer["NextContinuationToken"] = found[-1]["Key"]
        return answer

    def list_object_versions(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        MaxKeys: int = _AT_MOST,  # noqa: N803
        KeyMarker: str = "",  # noqa: N803
        VersionIdMarker: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """List the versions of objects: each has one."""
        self._count("ListObjectVersions")
        found, more = self._page(Bucket, Prefix, MaxKeys, KeyMarker)
        version = {"IsLatest": True, "VersionId": _VERSION_ID}
        answer: dict[str, Any] = {
            "Versions": [{**each, **version} for each in found],
            "IsTruncated": more,
        }
        if more:
            answer["NextKeyMarker"] = found[-1]["Key"]
            answer["NextVersionIdMarker"] = _VERSION_ID
        return answer

    def _page(
        self, bucket: str, prefix: str, most: int, after: str
    ) -> tuple[list[dict[str, Any]], bool]:
        keys = (key for key in self.keys(bucket, prefix) if key > after)
        page = list(islice(keys, most + 1))
        found = [
            {"Key": key, "Size": self._objects[bucket, key].size, "ETag": _ETAG}
            for key in page[:most]
        ]
        return found, len(page) > most

    def delete_object(self, *, Bucket: str, Key: str, **_: object) -> None:  # noqa: N803
        """Delete an object."""
        self._count("DeleteObject")
        self._objects.pop((Bucket, Key), None)


class Personalize:
    """As much of a Personalize client as the functions measured use."""

    def __init__(self, recipe: str) -> None:
        """Set the recipe of the solution version."""
        self._recipe = recipe

    def describe_solution_version(self, **_: object) -> dict[str, Any]:
        """Describe the one solution version."""
        version = {
            "solutionVersionArn": VERSION,
            "status": "ACTIVE",
            "recipeArn": f"arn:aws:personalize:::recipe/{self._recipe}",
            "datasetGroupArn": _DATASET_GROUP,
        }
        return {"solutionVersion": version}

    def describe_filter(self, **_: object) -> dict[str, Any]:
        """Describe the one filter, which has one placeholder."""
        described = {
            "status": "ACTIVE",
            "datasetGroupArn": _DATASET_GROUP,
            "filterExpression": "INCLUDE UserID WHERE Users.COUNTRY IN ($COUNTRY)",
        }
        return {"filter": described}


def install(s3: S3, recipe: str, *, with_real_clients: bool) -> list[object]:
    """Put the fakes in place of the functions' clients.

    Returns:
        The real clients, if asked for: in a function they take memory.
    """
    os.environ.update(_ENVIRONMENT)
    real: list[object] = []
    if with_real_clients:
        real = [clients.s3(), clients.personalize()]
    personalize = Personalize(recipe)
    vars(clients).update(s3=lambda: s3, personalize=lambda: personalize)
    return real


def _error(code: str, operation: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {
            "HTTPStatusCode": 412 if code == "PreconditionFailed" else 404
        },
    }
    return ClientError(answer, operation)
