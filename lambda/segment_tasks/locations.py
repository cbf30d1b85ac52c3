"""Where things are: the name of a run, and the S3 keys of what belongs to it."""

import hashlib
import os
from collections.abc import Mapping
from typing import Final

MAX_RUN_PREFIX_LENGTH: Final = 33
_HASH_LENGTH: Final = 16
_TO_THE_SECOND: Final = len("2026-01-05T06:00:00")
MAX_RUN_LENGTH: Final = MAX_RUN_PREFIX_LENGTH + 1 + _HASH_LENGTH


def run_name(run_prefix: str, execution_arn: str, started_at: str) -> str:
    """Name a run after its execution, so that every retry finds its own job.

    The start, in ISO 8601 and UTC, counts to the second: names of executions, and so
    their ARNs, can be used again after a while.
    """
    execution = f"{execution_arn} {started_at[:_TO_THE_SECOND]}"
    digest = hashlib.sha256(execution.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{run_prefix}-{digest}"


def part_file(part: int) -> str:
    """Return the name of the file that Personalize reads as a part's input."""
    return f"part-{part:05d}.json"


def output_file(part: int) -> str:
    """Return the name of the file that Personalize writes as a part's output."""
    return f"{part_file(part)}.out"


def part_name(part: int) -> str:
    """Return the name that a part's files share, without an ending."""
    return f"part-{part:05d}"


def uri(bucket: str, key: str) -> str:
    """Return the S3 URI of a key or folder."""
    return f"s3://{bucket}/{key}"


def bucket_and_key(s3_uri: str) -> tuple[str, str]:
    """Split an S3 URI into bucket and key."""
    bucket, _, key = s3_uri.removeprefix("s3://").partition("/")
    return bucket, key


class Locations:
    """The buckets and prefixes of a pipeline, and the keys of its runs."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        """Read the places from the environment: that of a function, or this one."""
        values = os.environ if environment is None else environment
        self.input_bucket = values["INPUT_BUCKET"]
        self.queries_prefix = values["QUERIES_PREFIX"]
        self.input_prefix = values["INPUT_PREFIX"]
        self.output_bucket = values["OUTPUT_BUCKET"]
        self.output_prefix = values["OUTPUT_PREFIX"]
        self.results_prefix = values["RESULTS_PREFIX"]
        self.run_prefix = values["RUN_PREFIX"]
        self.starts_on_upload = "START_ON_UPLOAD" in values

    def input_folder(self, run: str) -> str:
        """Return the folder that holds what Personalize reads, nothing else."""
        return f"{self.input_prefix}{run}/"

    def input_part(self, run: str, part: int) -> str:
        """Return the key of one part of the job's input."""
        return self.input_folder(run) + part_file(part)

    def plan_folder(self, run: str) -> str:
        """Return the folder of what the tasks know about a run's prepared input."""
        return f"{self.input_prefix}{run}.plan/"

    def plan(self, run: str) -> str:
        """Return the key that commits a run's prepared input."""
        return self.plan_folder(run) + "plan.json"

    def claim(self, name: str) -> str:
        """Return the key of the claim of an uploaded file."""
        return f"{self.input_prefix}{self.run_prefix}.uploads/{name}.json"

    def second(self, instant: str) -> str:
        """Return the key of the claim of a second, by runs that start in it."""
        name = instant.replace(":", "")
        return f"{self.input_prefix}{self.run_prefix}.seconds/{name}.json"

    def part_index(self, run: str, part: int) -> str:
        """Return the key of the index that says where a part's queries came from."""
        return f"{self.plan_folder(run)}{part_name(part)}.jsonl"

    def part_repeats(self, run: str, part: int) -> str:
        """Return the key of the index of lines that repeat a query of a part."""
        return f"{self.plan_folder(run)}{part_name(part)}.repeats.jsonl"

    def output_folder(self, job_name: str) -> str:
        """Return the folder that Personalize writes a job's output to."""
        return f"{self.output_prefix}{job_name}/"

    def results_folder(self, run: str) -> str:
        """Return the folder of a run's finished results."""
        return f"{self.results_prefix}{run}/"

    def manifest(self, run: str) -> str:
        """Return the key of a run's manifest."""
        return self.results_folder(run) + "manifest.json"

    def invalid_lines(self, run: str) -> str:
        """Return the key of the list of refused lines."""
        return self.results_folder(run) + "invalid-lines.jsonl"

    def queries_part(self, run: str, part: int) -> str:
        """Return the key of a part's queries with what became of each."""
        return f"{self.queries_folder(run)}{part_name(part)}.jsonl.gz"

    def users_part(self, run: str, part: int, piece: int = 0) -> str:
        """Return the key of a part's users, or of a further piece of them."""
        name = part_name(part) + (f"-{piece}" if piece else "")
        return f"{self.users_folder(run)}{name}.csv.gz"

    def queries_folder(self, run: str) -> str:
        """Return the folder of a run's queries with what became of each."""
        return f"{self.results_folder(run)}queries/"

    def users_folder(self, run: str) -> str:
        """Return the folder of a run's users."""
        return f"{self.results_folder(run)}users/"

    def accounts_folder(self, run: str) -> str:
        """Return the folder of the accounts of a run's parts."""
        return f"{self.results_folder(run)}parts/"

    def part_account(self, run: str, part: int) -> str:
        """Return the key of the account of a part: counts of what became of it."""
        return f"{self.accounts_folder(run)}{part_name(part)}.json"


def run_of(places: Locations, execution: Mapping[str, str]) -> str:
    """Name the run of an execution, as the state machine passes that on."""
    return run_name(places.run_prefix, execution["arn"], execution["startedAt"])
