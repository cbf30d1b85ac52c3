"""Gives moto the virtual clock's time, and chance that follows from the seed.

Every service of moto tells the time by `moto.core.utils.utcnow`, under names that each
imports for itself. All of them end at the one `datetime` of that module, so that is
what is replaced. Where moto asks Python itself, the place is replaced.

Temporary credentials keep the machine's time, because SDKs compare when they expire
with it.
"""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import moto.core.utils
import moto.s3.models
import moto.sts.models
from moto.cloudwatch.models import Dashboard
from moto.moto_api._internal import mock_random
from moto.s3.models import FakeBucket, FakeMultipart
from moto.sqs.models import SQSBackend

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

_UPLOAD_ID_BYTES: Final = 43
_AFTER_SECONDS: Final = 0.001
_TICK: Final = timedelta(microseconds=1)


def install(aws: "LocalAws") -> None:
    """Let moto's services live in the account's time, and draw from its seed.

    Args:
        aws: The local AWS; its clock runs already.
    """
    now = aws.clock.now

    class VirtualDatetime(datetime):
        """The class `datetime`, to which now is the clock's."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now().astimezone(tz or UTC)

    def create_bucket(bucket: Moto, *args: Moto, **options: Moto) -> None:
        original_bucket(bucket, *args, **options)
        bucket.creation_date = now()

    def create_upload(upload: Moto, *args: Moto, **options: Moto) -> None:
        original_upload(upload, *args, **options)
        upload.id = mock_random.token_urlsafe(_UPLOAD_ID_BYTES)

    def create_dashboard(dashboard: Moto, *args: Moto, **options: Moto) -> None:
        original_dashboard(dashboard, *args, **options)
        dashboard.last_modified = now()

    # Before any replacement: what it asks is Python's own.
    patching.patch(moto.sts.models, "utcnow", _machine_time)
    patching.patch(
        moto.core.utils, "datetime", SimpleNamespace(datetime=VirtualDatetime)
    )
    patching.patch(moto.s3.models, "utcnow", _increasing(now))
    original_bucket = patching.patch(FakeBucket, "__init__", create_bucket)
    original_upload = patching.patch(FakeMultipart, "__init__", create_upload)
    original_dashboard = patching.patch(Dashboard, "__init__", create_dashboard)
    _let_polls_wait(aws)
    mock_random.seed(aws.chance("moto").getrandbits(64))


def _increasing(now: Callable[[], datetime]) -> Callable[[], datetime]:
    """Make a clock that never gives the same instant twice.

    S3 orders the versions of an object by it. It shows seconds only, so that the
    microseconds that are added here are not seen.
    """
    lock = threading.Lock()
    latest = datetime.min

    def later() -> datetime:
        nonlocal latest
        with lock:
            latest = max(now().replace(tzinfo=None), latest + _TICK)
            return latest

    return later


def _machine_time() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _let_polls_wait(aws: "LocalAws") -> None:
    """Let long polls of queues pass virtual seconds; moto would wait for real ones."""

    def receive_message(
        backend: Moto,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        *args: Moto,
        **options: Moto,
    ) -> Moto:
        for second in range(wait_seconds_timeout):
            found = receive(backend, queue_name, count, 0, *args, **options)
            if found:
                return found
            # Just after whole seconds, when all that happens at them has happened.
            _pass(aws, 1 if second else 1 + _AFTER_SECONDS)
        return receive(backend, queue_name, count, 0, *args, **options)

    receive = patching.patch(SQSBackend, "receive_message", receive_message)


def _pass(aws: "LocalAws", seconds: float) -> None:
    """Wait for time to pass.

    Real time if virtual time stands still, because a function works: it may be the
    function that polls.
    """
    passed = aws.clock.start(asyncio.sleep(seconds))
    try:
        passed.result(timeout=seconds)
    except TimeoutError:
        passed.cancel()
