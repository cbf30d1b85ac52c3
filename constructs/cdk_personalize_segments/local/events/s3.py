"""Tells event buses of objects in buckets whose notifications say so.

S3 delivers each event at least once, and in any order: tests can have events
duplicated and delayed, which reorders them.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.core.responses import ActionResult
from moto.s3 import notifications
from moto.s3.models import FakeBucket, FakeDeleteMarker, S3Backend
from moto.s3.responses import S3Response

from cdk_personalize_segments.local.events import sources
from cdk_personalize_segments.local.events.rules import Rules
from cdk_personalize_segments.local.patching import patch
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local.aws import LocalAws

_REASONS: Final = {
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Put": "PutObject",
}
_TAGGED: Final = {
    "s3:ObjectTagging:Delete": "Object Tags Deleted",
    "s3:ObjectTagging:Put": "Object Tags Added",
}
_REQUEST_ID: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EMPTY_ETAG: Final = "d41d8cd98f00b204e9800998ecf8427e"
_SOURCE_ADDRESS: Final = "127.0.0.1"


@dataclass(frozen=True)
class Disturbance:
    """How deliveries go wrong.

    Attributes:
        duplicated: The chance that an event comes once more, and then once more again.
        latest: How much later an event may come, at most.
    """

    duplicated: float = 0.0
    latest: timedelta = timedelta(0)


class S3Events:
    """Emits events of buckets."""

    def __init__(self, aws: "LocalAws", rules: Rules) -> None:
        """Take the place of moto's notifications.

        Args:
            aws: The local AWS.
            rules: Where events go.
        """
        self.disturbance = Disturbance()
        self._aws = aws
        self._rules = rules
        self._sequence = itertools.count(1)
        # Events wait here for the end of the request that they tell of.
        self._request = threading.local()
        delete = S3Backend.delete_object

        def delete_object(
            backend: Moto, bucket_name: str, key_name: str, *args: Moto, **options: Moto
        ) -> tuple[bool, dict[str, Any]]:
            bucket = backend.get_bucket(bucket_name)
            version = args[0] if args else options.get("version_id")
            before = _etags(bucket, key_name)
            done = delete(backend, bucket_name, key_name, *args, **options)
            self._deleted(bucket, key_name, version, done, before)
            return done

        complete = S3Backend.complete_multipart_upload

        def complete_upload(backend: Moto, *args: Moto, **options: Moto) -> Moto:
            # moto tells of an upload by PutObject as well, which there is none.
            self._request.completing = True
            try:
                return complete(backend, *args, **options)
            finally:
                self._request.completing = False

        def tagging(request: Moto) -> Moto:
            # moto tells of the tags that come with an object as well; S3 does not.
            def tag(response: Moto) -> Moto:
                self._request.tagging = True
                try:
                    return request(response)
                finally:
                    self._request.tagging = False

            return tag

        for name in ("put_object_tagging", "delete_object_tagging"):
            patch(S3Response, name, tagging(getattr(S3Response, name)))
        patch(S3Backend, "complete_multipart_upload", complete_upload)
        patch(notifications, "send_event", self._notified)
        patch(S3Backend, "delete_object", delete_object)
        patch(FakeBucket, "set_notification_configuration", _only_to_event_bridge())
        patch(S3Response, "get_bucket_notification", _get_notification)
        aws.add_middleware(self._after_requests)

    def _after_requests(self, application: "WSGIApplication") -> "WSGIApplication":
        """Emit events when the request that they tell of has been answered."""

        def answer(
            environ: "WSGIEnvironment", start_response: "StartResponse"
        ) -> Iterable[bytes]:
            self._request.events = []
            try:
                return application(environ, start_response)
            finally:
                events, self._request.events = self._request.events, None
                for emit in events:
                    emit()

        return answer

    def _notified(self, _: str, event: Moto, bucket: Moto, key: Moto) -> None:
        """Take the place of `moto.s3.notifications.send_event`."""
        tagged = _TAGGED.get(event.value)
        if tagged is not None and getattr(self._request, "tagging", False):
            shown = {"etag": key.etag.strip('"')}
            self._emit(bucket, tagged, key.name, key, shown, {}, sequenced=False)
        reason = _REASONS.get(event.value)
        if reason is None:
            # moto's deletions leave out markers; others go to no event bus here.
            return
        if reason == "PutObject" and getattr(self._request, "completing", False):
            return
        stored = {"size": key.size, "etag": key.etag.strip('"')}
        self._emit(bucket, "Object Created", key.name, key, stored, {"reason": reason})

    def _deleted(
        self,
        bucket: Moto,
        key: str,
        version: str | None,
        done: tuple[bool, dict[str, Any]],
        etags: dict[str, str],
    ) -> None:
        succeeded, told = done
        if not succeeded:
            return
        marked = version is None and "delete-marker" in told
        newest = bucket.keys.get(key) if marked else None
        gone = version or "null"
        self._emit(
            bucket,
            "Object Deleted",
            key,
            newest,
            {"etag": _EMPTY_ETAG if marked else etags.get(gone, _EMPTY_ETAG)},
            {
                "reason": "DeleteObject",
                "deletion-type": (
                    "Delete Marker Created" if marked else "Permanently Deleted"
                ),
            },
            version=version,
        )

    def _emit(
        self,
        bucket: Moto,
        detail_type: str,
        key: str,
        stored: Moto,
        shown: dict[str, Any],
        happened: dict[str, str],
        version: str | None = None,
        *,
        sequenced: bool = True,
    ) -> None:
        configuration = bucket.notification_configuration
        if configuration is None or configuration.event_bridge is None:
            return
        now = self._aws.clock.now()
        version = version or (stored.version_id if stored is not None else None)
        if bucket.is_versioned and version:
            shown = {**shown, "version-id": version}
        if sequenced:
            shown = {**shown, "sequencer": self._next_sequencer(now)}
        chance = self._aws.chance("S3 events")
        detail = {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": {"key": key, **shown},
            "request-id": "".join(chance.choices(_REQUEST_ID, k=16)),
            "requester": self._aws.account_id,
            "source-ip-address": _SOURCE_ADDRESS,
            **happened,
        }

        def emit() -> None:
            for delay in self._delays():
                self._aws.clock.start(
                    self._later(delay, bucket, detail_type, detail, now)
                )

        waiting = getattr(self._request, "events", None)
        if waiting is None:
            emit()
        else:
            waiting.append(emit)

    def _next_sequencer(self, now: datetime) -> str:
        """Count up, in hexadecimal digits: events of a key compare by it."""
        return f"{int(now.timestamp()):08X}{next(self._sequence):010X}"

    def _delays(self) -> list[float]:
        """Draw when an event comes: in so many seconds, each time."""
        disturbance, chance = self.disturbance, self._aws.chance("S3 disturbance")
        latest = disturbance.latest.total_seconds()
        delays = [chance.uniform(0, latest)]
        while chance.random() < disturbance.duplicated:
            delays.append(chance.uniform(0, latest))
        # Services tell milliseconds.
        return [round(delay, 3) for delay in delays]

    async def _later(
        self,
        delay: float,
        bucket: Moto,
        detail_type: str,
        detail: dict[str, Any],
        at: datetime,
    ) -> None:
        if delay:
            await asyncio.sleep(delay)
        # Each time with an id of its own, so that nobody takes it for the object's.
        self._rules.emit(
            sources.S3,
            detail_type,
            detail,
            region=bucket.region_name,
            resources=[bucket.arn],
            at=at,
        )


def _get_notification(response: Moto) -> Moto:
    """Take the place of moto's answer, which leaves out event buses."""
    configuration = response.backend.get_bucket_notification_configuration(
        response.bucket_name
    )
    enabled = configuration is not None and configuration.event_bridge is not None
    response.data["Action"] = "GetBucketNotificationConfiguration"
    return response.serialized(
        ActionResult({"EventBridgeConfiguration": {}} if enabled else {})
    )


def _etags(bucket: Moto, key: str) -> dict[str, str]:
    """Give the ETags of a key's versions."""
    return {
        str(stored.version_id): stored.etag.strip('"')
        for stored in bucket.keys.getlist(key, [])
        if not isinstance(stored, FakeDeleteMarker)
    }


def _only_to_event_bridge() -> Callable[[Moto, dict[str, Any] | None], None]:
    set_configuration = FakeBucket.set_notification_configuration

    def set_notification_configuration(
        bucket: Moto, configuration: dict[str, Any] | None
    ) -> None:
        others = sorted(
            set(configuration or {})
            & {"TopicConfiguration", "QueueConfiguration", "CloudFunctionConfiguration"}
        )
        if others:
            raise NotImplementedError(
                f"{', '.join(others)} of a bucket; enable EventBridge, and have a rule "
                "deliver to the topic, queue or function"
            )
        set_configuration(bucket, configuration)

    return set_notification_configuration
