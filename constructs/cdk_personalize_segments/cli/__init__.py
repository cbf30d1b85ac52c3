"""The command line `personalize-segments`.

It needs the extra `cli`.
"""

import sys
from typing import Final

_EXTRA: Final = frozenset({"boto3", "botocore", "rich", "typer"})


def main() -> None:
    """Run the command line with the arguments of this process."""
    try:
        from cdk_personalize_segments.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.exit(
            f"personalize-segments needs {error.name}, which is not installed; run "
            "pip install 'cdk-personalize-segments[cli]'"
        )
    app(prog_name="personalize-segments")
