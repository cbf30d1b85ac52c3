"""What local AWS replaces in moto and imports from it, as the pinned version has it.

Another version is compared with that record, so that it can be told what changed. Run
as a module, this writes the record anew; `make moto-names` does.
"""

import ast
import hashlib
import inspect
import json
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.untyped import Moto

_RECORD: Final = Path(__file__).with_suffix(".json")
_HASH_DIGITS: Final = 16


def read() -> dict[str, Any]:
    """Read the record of the pinned version.

    Returns:
        `moto`, the version; `replaced`, each name with what `describe` says of it;
        `imported`, the names that need only be there.
    """
    content: dict[str, Any] = json.loads(_RECORD.read_text())
    return content


def make(originals: Mapping[str, Moto]) -> dict[str, Any]:
    """Make the record of the installed version.

    Args:
        originals: What is replaced while a local AWS runs, by full names.
    """
    return {
        "moto": patching.MOTO_VERSION,
        "replaced": {
            name: describe(originals[name])
            for name in sorted(originals)
            if _is_moto(name)
        },
        "imported": sorted(set(_imported())),
    }


def describe(original: Moto) -> dict[str, str]:
    """Say what tells whether something of moto is still what it was.

    Args:
        original: As it stands in its module or class.

    Returns:
        Its `kind`, the `signature` of a function, and a hash of its `source`, or of
        its names if it is a table.
    """
    described = {"kind": type(original).__name__}
    is_property = isinstance(original, property)
    function = original.fget if is_property else getattr(original, "__func__", original)
    if isinstance(function, FunctionType):
        described["signature"] = _signature(function)
        source = inspect.getsource(function)
    else:
        source = repr(sorted(original) if isinstance(original, dict) else original)
    digest = hashlib.sha256(source.encode()).hexdigest()
    return {**described, "source": digest[:_HASH_DIGITS]}


def _signature(function: FunctionType) -> str:
    """Write parameters without their types, which no call depends on."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return str(inspect.Signature(parameters))


def differences() -> list[str]:
    """Compare the installed version with the record.

    Returns:
        One clause for each way in which names differ, with these names; empty if none
        does.
    """
    record = read()
    found: dict[str, list[str]] = {}
    for name, recorded in record["replaced"].items():
        different = _difference(name, recorded)
        if different:
            found.setdefault(different, []).append(name)
    for name in record["imported"]:
        if not _exists(name):
            found.setdefault("gone", []).append(name)
    told = {
        "gone": "these are gone",
        "kind": "these are of another kind",
        "signature": "these have another signature",
        "source": "these have another source",
    }
    return [
        f"{clause}: {', '.join(found[different])}"
        for different, clause in told.items()
        if different in found
    ]


def _difference(name: str, recorded: Mapping[str, str]) -> str | None:
    owner, _, attribute = name.rpartition(".")
    try:
        described = describe(
            inspect.getattr_static(pkgutil.resolve_name(owner), attribute)
        )
    except (ImportError, AttributeError):
        return "gone"
    for key in ("kind", "signature", "source"):
        if described.get(key) != recorded.get(key):
            return key
    return None


def _exists(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def _imported() -> Iterator[str]:
    """Find what the modules of local AWS import from moto."""
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and _is_moto(node.module):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from (each.name for each in node.names if _is_moto(each.name))


def _is_moto(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == "moto"


def _write() -> None:
    from cdk_personalize_segments.local import LocalAws

    with LocalAws():
        record = make(patching.originals())
    _RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    _write()
