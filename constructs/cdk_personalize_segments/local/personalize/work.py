"""What a job does, and when: read its input, compute segments, write its output."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cdk_personalize_segments.local.personalize import segments
from cdk_personalize_segments.local.personalize.jobs import Agenda, Job
from cdk_personalize_segments.local.personalize.storage import JobStorage

_log: Final = logging.getLogger(__name__)


class JobWork:
    """The steps of one job, planned on the agenda.

    A step that goes wrong ends the job with CREATE FAILED and the reason, and concerns
    nobody else: steps are taken on behalf of whoever makes the next request.
    """

    def __init__(
        self,
        job: Job,
        storage: JobStorage,
        segmenter: segments.Segmenter,
        agenda: Agenda,
        *,
        failure: str | None,
        delay: timedelta,
    ) -> None:
        """Plan the job's beginning.

        Args:
            job: The job.
            storage: Its way to S3.
            segmenter: What answers its queries.
            agenda: Where its steps are planned.
            failure: The reason that it is made to fail for, if it is.
            delay: How much later than ACTIVE its output appears.
        """
        self._job = job
        self._storage = storage
        self._segmenter = segmenter
        self._agenda = agenda
        self._failure = failure
        self._delay = delay
        self._plan(job.starts, self._begin)

    def _begin(self) -> None:
        files = self._storage.read()
        segments.check(files, self._segmenter.version.solution.recipe)
        self._plan(self._job.ends, lambda: self._end(files))

    def _end(self, files: list[segments.InputFile]) -> None:
        if self._failure is not None:
            raise segments.JobFailedError(self._failure)
        for file in files:
            self._storage.check_write(file.output_name)
        outputs = {file.output_name: self._segmenter.output(file) for file in files}
        if self._delay:
            self._plan(self._job.ends + self._delay, lambda: self._write(outputs))
        else:
            self._write(outputs)

    def _write(self, outputs: dict[str, bytes]) -> None:
        for name, content in outputs.items():
            self._storage.write(name, content)

    def _plan(self, when: datetime, step: Callable[[], None]) -> None:
        def take() -> None:
            try:
                step()
            except segments.JobFailedError as reason:
                self._job.fail(when, str(reason))
            except Exception as bug:
                # Of local AWS, or the bucket changed under its hands.
                _log.exception("The job %s failed in local AWS", self._job.name)
                # A job that was seen ACTIVE stays so.
                if when <= self._job.ends:
                    self._job.fail(when, f"Local AWS failed: {bug!r}")

        self._agenda.add(when, take)
