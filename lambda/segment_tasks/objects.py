"""Objects in S3, read and written as streams."""

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from botocore.exceptions import ClientError

from . import clients, usage
from .aws_errors import CONNECTION_ERRORS, code, refusals_named
from .locations import uri

CHUNK_BYTES: Final = 1024 * 1024
# S3 takes parts of 5 MB to 5 GB, 10,000 at most: enough for 80 GB an object.
_PART_BYTES: Final = 8 * 1024 * 1024
# How often in a row a broken connection is taken up again without any progress.
_MAX_RESUMPTIONS: Final = 5
# Others write or delete the object at the same moment.
_CONFLICTS: Final = frozenset({"ConditionalRequestConflict", "NoSuchKey"})
_MAX_CONFLICTS: Final = 10
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "PreconditionFailed"})
# Level 6 of zlib, and a gzip header, whose time stamp is 0: the same data is always the
# same bytes. Rows are like their neighbours and nothing else, so that a window of 1 KB
# makes them smaller than one of 32 KB, in two thirds of the time.
_GZIP: Final = (6, zlib.DEFLATED, 26, 6)


class Version(NamedTuple):
    """A version of an object; its id is None in a bucket without versions."""

    key: str
    id: str | None
    etag: str
    size: int


class ObjectReader:
    """One version of an object, read as a stream, once or several times."""

    def __init__(self, bucket: str, key: str, version: Version | None = None) -> None:
        """Open an object: the version given, or the newest one.

        Raises:
            FileNotFoundError: There is none, or not this version any more.
        """
        self._request: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if version:
            self._request["IfMatch"] = version.etag
        if version and version.id:
            self._request["VersionId"] = version.id
        answer = self._get()
        self.size = answer["ContentLength"]
        self.etag = answer["ETag"].strip('"')
        self.version_id = answer.get("VersionId")
        # S3 is to refuse to go on with another version.
        self._request["IfMatch"] = self.etag
        self._opened: Any = answer["Body"]

    def _get(self, **how: Any) -> Any:  # noqa: ANN401
        location = uri(self._request["Bucket"], self._request["Key"])
        try:
            with refusals_named(location):
                return clients.s3().get_object(**self._request, **how)
        except ClientError as error:
            if code(error) in _GONE:
                raise FileNotFoundError(location) from None
            raise

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Read on from a position, whatever happens to the connection.

        Raises:
            FileNotFoundError: This version is gone.
        """
        position = start
        failures = 0
        while position < self.size:
            try:
                body = self._body(position)
                while chunk := body.read(CHUNK_BYTES):
                    position += len(chunk)
                    failures = 0
                    yield chunk
            except CONNECTION_ERRORS:
                failures += 1
                if failures > _MAX_RESUMPTIONS:
                    raise

    def hold(self) -> None:
        """Take the object into memory, where `chunks` finds it."""
        try:
            self._opened = io.BytesIO(self._opened.read())
        except CONNECTION_ERRORS:
            self._opened = None

    def _body(self, position: int) -> Any:  # noqa: ANN401
        body, self._opened = self._opened, None
        if body is not None and position == 0:
            return body
        return self._get(Range=f"bytes={position}-")["Body"]


class ObjectWriter:
    """An object written as a stream, which comes to be when it is complete or never.

    Use it in a `with` statement: an error inside leaves no object behind.
    """

    def __init__(self, bucket: str, key: str, content_type: str) -> None:
        """Set where to write."""
        self._target: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._content_type = content_type
        self._location = uri(bucket, key)
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The checksum of what was published, in hexadecimal digits."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Add bytes to the object."""
        self._buffer += data
        if len(self._buffer) >= _PART_BYTES:
            with refusals_named(self._location):
                self._upload_part()

    def publish(self) -> None:
        """Let the object come to be."""
        try:
            with refusals_named(self._location):
                self._publish()
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Leave no object behind."""
        if self._upload_id is not None:
            clients.s3().abort_multipart_upload(
                **self._target, UploadId=self._upload_id
            )

    def __enter__(self) -> Self:
        """Begin to write."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Publish the object, or drop it after an error."""
        if error is None:
            self.publish()
        else:
            self.drop()

    def _taken(self) -> bytes:
        """Take what is to be sent."""
        data = bytes(self._buffer)
        self._buffer.clear()
        self._digest.update(data)
        self.size += len(data)
        usage.count_stored(len(data))
        return data

    def _upload_part(self) -> None:
        s3 = clients.s3()
        if self._upload_id is None:
            self._upload_id = s3.create_multipart_upload(
                **self._target, ContentType=self._content_type
            )["UploadId"]
        number = len(self._parts) + 1
        answer = s3.upload_part(
            **self._target,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=self._taken(),
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def _publish(self) -> None:
        s3 = clients.s3()
        if self._upload_id is None:
            s3.put_object(
                **self._target,
                Body=self._taken(),
                ContentType=self._content_type,
            )
            return
        if self._buffer:
            self._upload_part()
        s3.complete_multipart_upload(
            **self._target,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._parts},  # type: ignore[typeddict-item]
        )


class GzipWriter(ObjectWriter):
    """An `ObjectWriter` that compresses what it is given."""

    def __init__(self, bucket: str, key: str) -> None:
        """Set where to write."""
        super().__init__(bucket, key, "application/gzip")
        self._compressor = zlib.compressobj(*_GZIP)

    def write(self, data: bytes) -> None:
        """Add bytes to what the object holds."""
        super().write(self._compressor.compress(data))

    def _publish(self) -> None:
        super().write(self._compressor.flush())
        super()._publish()


def put(bucket: str, key: str, data: bytes, content_type: str) -> None:
    """Write an object that is small and complete."""
    with refusals_named(uri(bucket, key)):
        clients.s3().put_object(
            Bucket=bucket, Key=key, Body=data, ContentType=content_type
        )
    usage.count_stored(len(data))


def create(bucket: str, key: str, data: bytes, content_type: str) -> bool:
    """Write an object unless there is one; tell whether it was written.

    Of several who try at once, one writes it.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            with refusals_named(uri(bucket, key)):
                clients.s3().put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=data,
                    ContentType=content_type,
                    IfNoneMatch="*",
                )
        except ClientError as error:
            if code(error) == "PreconditionFailed":
                return False
            if code(error) not in _CONFLICTS or attempt == _MAX_CONFLICTS:
                raise
        else:
            return True


def read_json(bucket: str, key: str) -> Any | None:  # noqa: ANN401
    """Read a JSON object, or None where there is no such object."""
    try:
        reader = ObjectReader(bucket, key)
    except FileNotFoundError:
        return None
    return json.loads(b"".join(reader.chunks()))


def write_json(bucket: str, key: str, content: object) -> None:
    """Write a JSON object, readable by people."""
    put(bucket, key, b"%b\n" % json_bytes(content, indent=1), "application/json")


def json_line(content: object) -> bytes:
    """Return one line of JSON Lines."""
    return b"%b\n" % json_bytes(content)


def json_bytes(content: object, indent: int | None = None) -> bytes:
    """Return JSON in UTF-8."""
    text = json.dumps(content, ensure_ascii=False, indent=indent)
    # Half a character, which JSON can name but UTF-8 cannot, becomes its escape.
    return text.encode(errors="backslashreplace")


def versions(bucket: str, prefix: str) -> Iterator[Version]:
    """List the newest version of each object, in the order of `keys`."""
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    while True:
        with refusals_named(f"s3://{bucket}"):
            answer = clients.s3().list_object_versions(**request)
        for each in answer.get("Versions", []):
            if each["IsLatest"]:
                version = None if each["VersionId"] == "null" else each["VersionId"]
                etag = each["ETag"].strip('"')
                yield Version(each["Key"], version, etag, each["Size"])
        if not answer.get("IsTruncated"):
            return
        request["KeyMarker"] = answer["NextKeyMarker"]
        request["VersionIdMarker"] = answer["NextVersionIdMarker"]


def keys(bucket: str, prefix: str, at_most: int | None = None) -> Iterator[str]:
    """List keys, `at_most` so many, in their order: that of their UTF-8 bytes."""
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    if at_most is not None:
        request["MaxKeys"] = at_most
    while True:
        with refusals_named(f"s3://{bucket}"):
            answer = clients.s3().list_objects_v2(**request)
        yield from (each["Key"] for each in answer.get("Contents", []))
        if at_most is not None or not answer.get("IsTruncated"):
            return
        request["ContinuationToken"] = answer["NextContinuationToken"]


def delete(bucket: str, key: str) -> None:
    """Delete an object, if there is one."""
    with refusals_named(uri(bucket, key)):
        clients.s3().delete_object(Bucket=bucket, Key=key)
