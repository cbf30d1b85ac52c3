"""Finds the sources of the Lambda tasks, in a checkout and in a wheel."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent

# pip compiles what it installs: left in, the asset's hash would depend on how
# the library was installed.
EXCLUDE: Final = ["**/__pycache__", "**/*.py[cod]", "**/.DS_Store"]


def source_root() -> Path:
    """Return the folder whose content is the asset of all functions.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    wheel, checkout = _PACKAGE / "_lambda", _PACKAGE.parents[1] / "lambda"
    for root in (wheel, checkout):
        if (root / "segment_tasks" / "__init__.py").is_file():
            return root
    raise FileNotFoundError(
        f"the sources of the Lambda tasks are neither in {wheel} nor in {checkout}; "
        "reinstall cdk-personalize-segments"
    )
