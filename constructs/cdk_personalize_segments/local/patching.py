"""Replaces names inside moto, so that a name that is gone is noticed at start.

Every bridge replaces through `patch`. The replaced names are moto's own, not its
public interface, hence the exact version.
"""

from collections.abc import Callable
from importlib import metadata
from typing import Final

from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.untyped import Moto

MOTO_VERSION: Final = "5.2.5"
_INSTALL: Final = "pip install 'cdk-personalize-segments[local]'"

_undo: list[Callable[[], None]] = []


def check_moto() -> None:
    """Check that moto is installed, in the version that the bridges fit.

    Raises:
        LocalAwsError: moto is missing or has another version.
    """
    try:
        installed = metadata.version("moto")
    except metadata.PackageNotFoundError:
        raise LocalAwsError(
            f"local AWS needs moto {MOTO_VERSION}, which is not installed; "
            f"run {_INSTALL}"
        ) from None
    if installed != MOTO_VERSION:
        raise LocalAwsError(
            f"local AWS fits moto {MOTO_VERSION} only, but moto {installed} is "
            f"installed; run {_INSTALL}"
        )


def patch(owner: Moto, name: str, replacement: Moto) -> Moto:
    """Replace a name of a moto module, class or dictionary until `restore_all`.

    Args:
        owner: The module, class, object or dictionary that has the name.
        name: The attribute, or the key of a dictionary.
        replacement: What takes its place.

    Returns:
        What it was before.

    Raises:
        LocalAwsError: The name does not exist, so the bridge would not take effect.
    """
    if isinstance(owner, dict):
        if name not in owner:
            raise _missing("a dictionary", name)
        original = owner[name]
        _undo.append(lambda: owner.__setitem__(name, original))
        owner[name] = replacement
        return original
    if not hasattr(owner, name):
        raise _missing(getattr(owner, "__qualname__", None) or str(owner), name)
    original = getattr(owner, name)
    if name in vars(owner):
        # Not getattr: that would turn a static or class method into a plain one.
        own = vars(owner)[name]
        _undo.append(lambda: setattr(owner, name, own))
    else:
        _undo.append(lambda: delattr(owner, name))
    setattr(owner, name, replacement)
    return original


def as_method(work: Moto) -> Moto:
    """Make a method of moto's of one of ours.

    Args:
        work: Is called with moto's object first. As a class's attribute it would not
            be, being bound to an object of ours.
    """

    def method(*args: Moto, **options: Moto) -> Moto:
        return work(*args, **options)

    return method


def restore_all() -> None:
    """Undo every replacement, newest first."""
    while _undo:
        _undo.pop()()


def _missing(owner: str, name: str) -> LocalAwsError:
    return LocalAwsError(
        f"moto {metadata.version('moto')} has no {name!r} in {owner}, which local AWS "
        f"replaces; install moto {MOTO_VERSION}: {_INSTALL}"
    )
