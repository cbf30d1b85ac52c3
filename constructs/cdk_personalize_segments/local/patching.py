"""Replaces names inside moto, so that a name that is gone is noticed at start.

Every bridge replaces through `patch`. The replaced names are moto's own, not its
public interface, hence the exact version; `moto_names` knows how they were there.
"""

import inspect
import warnings
from collections.abc import Callable
from importlib import metadata
from types import ModuleType
from typing import Final

from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.untyped import Moto

MOTO_VERSION: Final = "5.2.5"
_INSTALL: Final = "pip install 'cdk-personalize-segments[local]'"

_undo: list[Callable[[], None]] = []
_originals: dict[str, Moto] = {}


def check_moto() -> None:
    """Check that moto is installed, in a version that the bridges fit.

    A version other than the one that local AWS was made for is used, with a warning,
    if it has everything that is replaced or imported, unchanged.

    Raises:
        LocalAwsError: moto is missing, or a version that differs where it matters;
            the message lists where.
    """
    try:
        installed = metadata.version("moto")
    except metadata.PackageNotFoundError:
        raise LocalAwsError(
            f"local AWS needs moto {MOTO_VERSION}, which is not installed; "
            f"run {_INSTALL}"
        ) from None
    if installed == MOTO_VERSION:
        return
    # Late: the usual version needs none of it.
    from cdk_personalize_segments.local import moto_names

    differences = moto_names.differences()
    if differences:
        raise LocalAwsError(
            f"local AWS fits moto {MOTO_VERSION}, and in moto {installed}, which is "
            f"installed, {'; '.join(differences)}; run {_INSTALL}"
        )
    warnings.warn(
        f"local AWS was made for moto {MOTO_VERSION}, and moto {installed} is "
        "installed; none of the names that it replaces changed, but nothing else was "
        f"compared: if it misbehaves, run {_INSTALL}",
        stacklevel=3,
    )


def patch(owner: Moto, name: str, replacement: Moto) -> Moto:
    """Replace a name of a moto module or class until `restore_all`.

    Args:
        owner: The module or class that has the name.
        name: The attribute.
        replacement: What takes its place.

    Returns:
        What it was before.

    Raises:
        LocalAwsError: The name does not exist, so the bridge would not take effect.
    """
    if not hasattr(owner, name):
        raise LocalAwsError(
            f"moto {metadata.version('moto')} has no {name!r} in "
            f"{full_name(owner)}, which local AWS replaces; install moto "
            f"{MOTO_VERSION}: {_INSTALL}"
        )
    original = getattr(owner, name)
    _originals.setdefault(
        f"{full_name(owner)}.{name}", inspect.getattr_static(owner, name)
    )
    _put(owner, name, replacement)
    return original


def full_name(owner: Moto) -> str:
    """Name a module, or a class with its module.

    Args:
        owner: The module or class.
    """
    if isinstance(owner, ModuleType):
        return owner.__name__
    return f"{owner.__module__}.{owner.__qualname__}"


def originals() -> dict[str, Moto]:
    """Give what is replaced at present: what it was, by its full name."""
    return dict(_originals)


def restore_all() -> None:
    """Undo every replacement, newest first."""
    while _undo:
        _undo.pop()()
    _originals.clear()


def _put(owner: Moto, name: str, replacement: Moto) -> None:
    if name in vars(owner):
        # Not getattr: that would turn a static or class method into a plain one.
        own = vars(owner)[name]
        _undo.append(lambda: setattr(owner, name, own))
    else:
        _undo.append(lambda: delattr(owner, name))
    setattr(owner, name, replacement)


def as_method(work: Moto) -> Moto:
    """Make a method of moto's of one of ours.

    Args:
        work: Is called with moto's object first. As a class's attribute it would not
            be, being bound to an object of ours.
    """

    def method(*args: Moto, **options: Moto) -> Moto:
        return work(*args, **options)

    return method
