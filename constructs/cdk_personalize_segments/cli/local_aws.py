"""The commands `local`, and of them `local start`: one in the foreground."""

import shlex
import signal
import time
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.cli import screen
from cdk_personalize_segments.cli.errors import CliError
from cdk_personalize_segments.cli.executions import LOCAL_TIME_HEADER
from cdk_personalize_segments.cli.local_running import clock, deploy, reset, seed
from cdk_personalize_segments.cli.running import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from cdk_personalize_segments.local import LocalAws

_EXTRA: Final = (
    "pip install 'cdk-personalize-segments[local]' brings everything that it needs"
)

local_app = typer.Typer(
    no_args_is_help=True, help="Run a local AWS, without an account."
)


for _command in (deploy, seed, clock, reset):
    local_app.command()(_command)


@local_app.callback()
def _local() -> None:
    """Run a local AWS, without an account."""


def _checked_speed(speed: float | None) -> float | None:
    if speed is not None and speed <= 0:
        raise typer.BadParameter("it must be above 0; leave it out for no waiting")
    return speed


def _checked_region(region: str) -> str:
    if region not in limits.REGIONS:
        allowed = ", ".join(sorted(limits.REGIONS))
        raise typer.BadParameter(f"{region!r} has no Personalize; allowed: {allowed}")
    return region


@local_app.command()
def start(
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0: any.", min=0, max=65535)
    ] = DEFAULT_PORT,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with items.csv, interactions.csv and optionally users.csv: "
            "a solution of each recipe is trained on it."
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            help="Seconds of a run's time in one real second. Default: no waiting.",
            callback=_checked_speed,
        ),
    ] = None,
    region: Annotated[
        str,
        typer.Option(
            help="The Region that it is, one with Personalize.",
            callback=_checked_region,
        ),
    ] = "us-east-1",
) -> None:
    """Run a local AWS until Ctrl-C; everything in it is gone then.

    Prints what to set in the environment once it is ready to be used.
    """
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, signal.default_int_handler)
    aws = _started(local_aws(region=region, speed=speed, port=port))
    try:
        versions = (
            {recipe: _seed(aws, data, recipe) for recipe in limits.QUERIES_PER_FILE}
            if data
            else {}
        )
        screen.note(f"Local AWS listens at {aws.endpoint_url}; Ctrl-C stops it.")
        for name, value in aws.environment.items():
            screen.line(f"export {name}={shlex.quote(value)}")
        for recipe, version in versions.items():
            screen.line(f"# {recipe}: {version}")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        screen.note("Stopped.")
    finally:
        aws.stop()


def local_aws(*, region: str, speed: float | None, port: int) -> "LocalAws":
    """Make a local AWS, not started yet, whose answers tell its own time.

    Args:
        region: The Region that it is.
        speed: Seconds of a run's time in one real second, or None not to wait.
        port: The port to listen on, or 0 for any.

    Raises:
        CliError: The extra `local` is not installed.
    """
    try:
        import moto  # noqa: F401

        from cdk_personalize_segments.local import LocalAws
    except ModuleNotFoundError as error:
        raise CliError(f"Local AWS needs {error.name}; {_EXTRA}.") from None
    aws = LocalAws(region=region, speed=speed, port=port)
    aws.add_middleware(lambda application: _dated(application, aws))
    return aws


def _dated(application: "WSGIApplication", aws: "LocalAws") -> "WSGIApplication":
    """Tell the virtual time with every answer: runs start and end by it."""

    def answer(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> "Iterable[bytes]":
        def start(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            now = format_datetime(aws.clock.now(), usegmt=True)
            return start_response(
                status, [*headers, (LOCAL_TIME_HEADER, now)], exc_info
            )

        return application(environ, start)

    return answer


def _started(aws: "LocalAws") -> "LocalAws":
    from cdk_personalize_segments.local import LocalAwsError

    try:
        return aws.start()
    except LocalAwsError as error:
        raise CliError(f"{error}.") from None


def _seed(aws: "LocalAws", data: Path | None, recipe: str) -> str:
    try:
        return aws.personalize.seed(data or "", recipe=recipe)
    except (FileNotFoundError, ValueError) as error:
        raise CliError(f"{error}.") from None
