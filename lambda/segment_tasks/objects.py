"""Objects in S3, read and written as streams."""

import json
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from . import clients
from .failures import CONNECTION_ERRORS, refusals_named
from .locations import uri

CHUNK_BYTES: Final = 1024 * 1024
# S3 takes parts of 5 MB to 5 GB, 10,000 at most: enough for 80 GB an object.
_PART_BYTES: Final = 8 * 1024 * 1024
# How often in a row a broken connection is taken up again without any progress.
_MAX_RESUMPTIONS: Final = 5
# zlib's window size for a gzip header, whose time stamp is 0: the same data is
# always the same bytes.
_GZIP: Final = 31


class ObjectReader:
    """One version of an object, read as a stream, once or several times."""

    def __init__(self, bucket: str, key: str) -> None:
        """Open the newest version of an object.

        Raises:
            FileNotFoundError: There is no such object.
        """
        self._bucket = bucket
        self._key = key
        try:
            with refusals_named(uri(bucket, key)):
                answer = clients.s3().get_object(Bucket=bucket, Key=key)
        except clients.s3().exceptions.NoSuchKey:
            raise FileNotFoundError(uri(bucket, key)) from None
        self.size = answer["ContentLength"]
        self.etag = answer["ETag"].strip('"')
        self.version_id = answer.get("VersionId")
        self._opened: Any = answer["Body"]

    def chunks(self) -> Iterator[bytes]:
        """Read the object from its start, whatever happens to the connection."""
        position = 0
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

    def _body(self, position: int) -> Any:  # noqa: ANN401
        body, self._opened = self._opened, None
        if body is not None and position == 0:
            return body
        # The condition makes S3 refuse to go on with another version.
        return clients.s3().get_object(
            Bucket=self._bucket,
            Key=self._key,
            IfMatch=self.etag,
            Range=f"bytes={position}-",
        )["Body"]


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

    def write(self, data: bytes) -> None:
        """Add bytes to the object."""
        self._buffer += data
        if len(self._buffer) >= _PART_BYTES:
            with refusals_named(self._location):
                self._upload_part()

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
            try:
                with refusals_named(self._location):
                    self._publish()
            except BaseException:
                self._abort()
                raise
        else:
            self._abort()

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
            Body=bytes(self._buffer),
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._buffer.clear()

    def _publish(self) -> None:
        s3 = clients.s3()
        if self._upload_id is None:
            s3.put_object(
                **self._target,
                Body=bytes(self._buffer),
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

    def _abort(self) -> None:
        if self._upload_id is not None:
            clients.s3().abort_multipart_upload(
                **self._target, UploadId=self._upload_id
            )


class GzipWriter(ObjectWriter):
    """An `ObjectWriter` that compresses what it is given."""

    def __init__(self, bucket: str, key: str) -> None:
        """Set where to write."""
        super().__init__(bucket, key, "application/gzip")
        self._compressor = zlib.compressobj(wbits=_GZIP)

    def write(self, data: bytes) -> None:
        """Add bytes to what the object holds."""
        super().write(self._compressor.compress(data))

    def _publish(self) -> None:
        super().write(self._compressor.flush())
        super()._publish()


def read_json(bucket: str, key: str) -> Any | None:  # noqa: ANN401
    """Read a JSON object, or None where there is no such object."""
    try:
        reader = ObjectReader(bucket, key)
    except FileNotFoundError:
        return None
    return json.loads(b"".join(reader.chunks()))


def write_json(bucket: str, key: str, content: object) -> None:
    """Write a JSON object, readable by people."""
    with ObjectWriter(bucket, key, "application/json") as writer:
        writer.write(_json(content, indent=1))


def json_line(content: object) -> bytes:
    """Return one line of JSON Lines."""
    return _json(content, indent=None)


def _json(content: object, indent: int | None) -> bytes:
    text = json.dumps(content, ensure_ascii=False, indent=indent)
    # Half a character, which JSON can name but UTF-8 cannot, becomes its escape.
    return f"{text}\n".encode(errors="backslashreplace")


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
