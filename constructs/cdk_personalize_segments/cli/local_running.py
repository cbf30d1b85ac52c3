"""The commands `local deploy`, `seed`, `clock` and `reset`, on one that runs."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cdk_personalize_segments.cli import screen
from cdk_personalize_segments.cli.errors import CliError, UsageError
from cdk_personalize_segments.cli.options import Recipe
from cdk_personalize_segments.cli.running import DEFAULT_PORT, RunningLocalAws

_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PANEL: Final = "Which local AWS"

EndpointUrl = Annotated[
    str | None,
    typer.Option(
        envvar="AWS_ENDPOINT_URL",
        help=f"Where it serves. Default: http://localhost:{DEFAULT_PORT}.",
        rich_help_panel=_PANEL,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        help="The port that it listens on, instead of --endpoint-url.",
        min=1,
        max=65535,
        rich_help_panel=_PANEL,
    ),
]


def deploy(
    stacks: Annotated[
        list[str] | None, typer.Argument(help="Names of stacks; all by default.")
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(
            help="The command that synthesises, or a folder that it made. Default: "
            "what cdk.json says."
        ),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", "-c", help="A context value, as KEY=VALUE."),
    ] = None,
    endpoint_url: EndpointUrl = None,
    port: Port = None,
) -> None:
    """Deploy the app of this folder with the CDK CLI, after bootstrapping.

    Prints the stacks' outputs.
    """
    values = dict(_key_and_value(each) for each in context or [])
    if app is None and not Path("cdk.json").is_file():
        raise CliError(
            f"There is no cdk.json in {Path.cwd()}; go to your app's folder, or give "
            "--app."
        )
    aws = _running(endpoint_url, port)
    # Late: most commands need not wait for it.
    from cdk_personalize_segments.local.cdk_cli import CdkCli
    from cdk_personalize_segments.local.environment import process_environment
    from cdk_personalize_segments.local.errors import LocalAwsError

    cdk = CdkCli(
        lambda: process_environment(aws.endpoint_url, aws.region),
        aws.account_id,
        aws.region,
    )
    screen.note(f"Deploying into the local AWS at {aws.endpoint_url} …")
    try:
        outputs = cdk.deploy(stacks or [], app=app, cwd=None, context=values)
    except LocalAwsError as error:
        raise CliError(str(error)) from None
    screen.note("Deployed.")
    for stack, its_outputs in outputs.items():
        for name, value in its_outputs.items():
            screen.line(f"{stack}.{name} = {value}")


def seed(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Holds items.csv, interactions.csv and optionally users.csv."
        ),
    ],
    recipe: Annotated[
        Recipe, typer.Option(help="The recipe of the solution.")
    ] = Recipe.ITEM_AFFINITY,
    name: Annotated[
        str | None,
        typer.Option(
            help="The solution's name. Default: that of the folder and the recipe."
        ),
    ] = None,
    endpoint_url: EndpointUrl = None,
    port: Port = None,
) -> None:
    """Train a solution, and print the ARN of its version.

    A solution that is there is retrained on the folder's data.
    """
    aws = _running(endpoint_url, port)
    version, retrained = aws.seed(str(folder.absolute()), recipe.full_name, name)
    if retrained:
        screen.note("The solution was there; this is its new version.")
    screen.line(version)


def clock(
    advance: Annotated[
        str | None, typer.Option(help="Let so much time pass, like 1d2h or 90m.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Let time pass until then, like 2030-01-31T06:00Z."),
    ] = None,
    endpoint_url: EndpointUrl = None,
    port: Port = None,
) -> None:
    """Show the virtual time, or let it pass.

    What is due meanwhile happens. Time stands still while something works.
    """
    if advance is not None and to is not None:
        raise UsageError("--advance and --to cannot go together; give one of them.")
    seconds = _seconds(advance) if advance is not None else None
    until = _instant(to) if to is not None else None
    aws = _running(endpoint_url, port)
    if seconds is not None:
        screen.line(aws.let_time_pass(advance=seconds))
    elif until is not None:
        screen.line(aws.let_time_pass(to=until.isoformat()))
    else:
        screen.line(aws.time)


def reset(endpoint_url: EndpointUrl = None, port: Port = None) -> None:
    """Empty the account, as if it had just been started."""
    aws = _running(endpoint_url, port)
    aws.reset()
    screen.note(f"The local AWS at {aws.endpoint_url} is empty.")


def _running(endpoint_url: str | None, port: int | None) -> RunningLocalAws:
    if port is not None:
        # It was typed, and an endpoint may be of the environment.
        endpoint_url = f"http://localhost:{port}"
    return RunningLocalAws(endpoint_url or f"http://localhost:{DEFAULT_PORT}")


def _key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--context {text!r} is not KEY=VALUE.")
    return key, value


def _seconds(text: str) -> int:
    if not text or not re.fullmatch(r"(\d+d)?(\d+h)?(\d+m)?(\d+s)?", text):
        raise UsageError(
            f"--advance {text!r} is not a time; write days, hours, minutes and "
            "seconds, like 1d2h or 90m."
        )
    return sum(
        int(number) * _SECONDS[unit]
        for number, unit in re.findall(r"(\d+)([dhms])", text)
    )


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--to {text!r} is not a time; write it like 2030-01-31T06:00Z."
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
