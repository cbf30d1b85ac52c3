"""A stack with two pipelines in the local AWS, and the command line on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from typer.testing import CliRunner, Result

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion
from cdk_personalize_segments.cli import pipelines
from cdk_personalize_segments.cli.account import Account
from cdk_personalize_segments.cli.app import app
from cdk_personalize_segments.local import LocalAws

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "examples" / "catalogue"
STACK = "Cinema"


@pytest.fixture(scope="session")
def stack(
    local_aws: LocalAws,
    tmp_path_factory: pytest.TempPathFactory,
    deploy_assembly: Callable[[Path, str], dict[str, str]],
) -> str:
    """Deploy a stack with the pipelines `Cinema/Items` and `Cinema/Genres`."""
    local_aws.personalize.seed(CATALOGUE, name="cinema")
    by_genre = local_aws.personalize.seed(
        CATALOGUE, recipe="aws-item-attribute-affinity", name="cinema-by-genre"
    )
    outdir = tmp_path_factory.mktemp("assembly") / "cdk.out"
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    cdk_app = cdk.App(context=context, outdir=str(outdir), analytics_reporting=False)
    # Assets in a bucket of its own: that of the CDK CLI may be made at any time.
    synthesizer = cdk.DefaultStackSynthesizer(
        qualifier="commands", generate_bootstrap_version_rule=False
    )
    cdk_stack = cdk.Stack(cdk_app, STACK, synthesizer=synthesizer)
    BatchSegmentPipeline(
        cdk_stack,
        "Items",
        solution_version=SolutionVersion.latest_of(
            local_aws.personalize.arn("solution/cinema")
        ),
        job_tags={"owner": "a-secret-of-ours"},
    )
    BatchSegmentPipeline(
        cdk_stack, "Genres", solution_version=SolutionVersion.from_arn(by_genre)
    )
    cdk_app.synth()
    deploy_assembly(outdir, STACK)
    return STACK


@pytest.fixture
def environment(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """Point this process at the local AWS, as its users do."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    return local_aws


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Run a command of the command line."""

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def on_items(cli: Callable[..., Result], stack: str, environment: LocalAws) -> Any:
    """Run a command on the pipeline `Cinema/Items`."""

    def invoke(command: str, *arguments: object) -> Result:
        return cli(command, *arguments, "--stack", stack, "--pipeline", "Items")

    return invoke


@pytest.fixture
def items(stack: str, environment: LocalAws) -> pipelines.Pipeline:
    """The pipeline `Cinema/Items`, as the command line finds it."""
    return pipelines.find(Account(), pipelines.Wanted(stack, "Cinema/Items"))


@pytest.fixture
def queries(tmp_path: Path) -> Callable[..., Path]:
    """Write a query file."""

    def write(*lines: object, name: str = "queries.jsonl") -> Path:
        file = tmp_path / name
        texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
        file.write_text("".join(f"{text}\n" for text in texts))
        return file

    return write
