"""Uploaded files, as S3 tells of them and as the input of an execution names them."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

VERSION: Final = "versionId"
SEQUENCER: Final = "sequencer"


class Upload(NamedTuple):
    """An object that was uploaded.

    Attributes:
        key: Its key.
        version_id: The id of its version, or None in a bucket without versions.
        sequencer: What S3 orders the events of a key by, where there is no version.
        etag: Its ETag.
        size: Its bytes.
    """

    key: str
    version_id: str | None
    sequencer: str | None
    etag: str
    size: int

    @property
    def name(self) -> str:
        """What tells it from every other upload."""
        return f"{self.key}\0{self.version_id or self.sequencer}"

    def described(self) -> dict[str, Any]:
        """Return it as the input of an execution has it."""
        told = {VERSION: self.version_id, SEQUENCER: self.sequencer}
        return {
            "key": self.key,
            **{name: value for name, value in told.items() if value},
            "etag": self.etag,
            "size": self.size,
        }


def problem(given: object) -> str | None:
    """Say what is wrong with a file in the input of an execution, or return None."""
    if not isinstance(given, dict):
        return f"must be an object, got {given!r}"
    unknown = sorted(given.keys() - {"key", VERSION, SEQUENCER, "etag", "size"})
    if unknown:
        return (
            f"has the unknown key {', '.join(map(repr, unknown))}; allowed are key, "
            f"{VERSION}, {SEQUENCER}, etag, size"
        )
    for name in ("key", "etag"):
        if not isinstance(given.get(name), str) or not given[name]:
            return f"must have a string as its {name}, got {given.get(name)!r}"
    versions = [given[each] for each in (VERSION, SEQUENCER) if given.get(each)]
    if len(versions) != 1 or not isinstance(versions[0], str):
        return (
            f"must have a string as its {VERSION}, or as its {SEQUENCER} in a bucket "
            "without versions"
        )
    size = given.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        return f"must have its size in bytes, got {size!r}"
    return None


def of_input(given: Mapping[str, Any]) -> Upload:
    """Return a file of the input of an execution, which has no problem."""
    return Upload(
        key=given["key"],
        version_id=given.get(VERSION),
        sequencer=given.get(SEQUENCER),
        etag=given["etag"],
        size=given["size"],
    )
