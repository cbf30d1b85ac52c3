"""The commands of `personalize-segments`, put together."""

from typing import Any

import typer
from typer.core import TyperGroup

from cdk_personalize_segments.cli import screen
from cdk_personalize_segments.cli.doctor import doctor
from cdk_personalize_segments.cli.errors import SDK_ERRORS, CliError, sentence
from cdk_personalize_segments.cli.fetch import fetch
from cdk_personalize_segments.cli.listing import list_runs
from cdk_personalize_segments.cli.local_aws import local_app
from cdk_personalize_segments.cli.run import run
from cdk_personalize_segments.cli.show import show
from cdk_personalize_segments.cli.split import split
from cdk_personalize_segments.cli.status import status
from cdk_personalize_segments.cli.validate import validate

_EXIT_CODES = (
    "Exit codes: 0 success; 1 something failed: a run, a check, a line, a call to AWS; "
    "2 wrong usage; 130 interrupted."
)


class _Commands(TyperGroup):
    """Says what is foreseen in one sentence, without a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except CliError as error:
            told, exit_code = str(error), error.exit_code
        except SDK_ERRORS as error:
            told, exit_code = sentence(error), 1
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            told, exit_code = f"{where}{error.strerror or error}.", 1
        screen.note(f"Error: {told}", "bold red")
        raise typer.Exit(exit_code)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run batch segment pipelines, in AWS or in a local AWS (AWS_ENDPOINT_URL).",
    epilog=_EXIT_CODES,
)
for _name, _command in (
    ("validate", validate),
    ("split", split),
    ("run", run),
    ("status", status),
    ("list", list_runs),
    ("show", show),
    ("fetch", fetch),
    ("doctor", doctor),
):
    app.command(_name, epilog=_EXIT_CODES)(_command)
app.add_typer(local_app, name="local")
