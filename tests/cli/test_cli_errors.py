"""What users read when AWS, the SDK or the installation refuses."""

import subprocess
import sys
import textwrap

import pytest
from botocore.exceptions import ClientError

from cdk_personalize_segments.cli import errors
from cdk_personalize_segments.cli.checks import Check, Verdict, guarded


def refusal(code, message, operation):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("code", "operation", "told"),
    [
        ("AccessDenied", "DescribeStacks", "permission cloudformation:DescribeStacks"),
        ("AccessDeniedException", "DescribeFilter", "personalize:DescribeFilter"),
        ("403", "HeadObject", "permission s3:GetObject"),
        ("ExpiredTokenException", "GetCallerIdentity", "expired"),
        (
            "InvalidClientTokenId",
            "GetCallerIdentity",
            "does not accept the credentials",
        ),
        ("ThrottlingException", "ListExecutions", "ListExecutions failed (Throttling"),
    ],
)
def test_answers_of_aws_become_one_sentence(code, operation, told):
    sentence = errors.sentence(refusal(code, "Some words.", operation))
    assert told in sentence
    assert "Some words" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_without_credentials_the_way_in_is_told(cli, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = cli("status", "--region", "us-east-1")
    assert result.exit_code == 1
    assert result.output.startswith("Error: No AWS credentials were found; set AWS_PRO")


def test_without_a_region_the_option_is_told(cli, monkeypatch, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    result = cli("list")
    assert result.exit_code == 1
    assert (
        result.output == "Error: No Region is set; give --region, or set AWS_REGION.\n"
    )


def test_an_endpoint_that_nobody_listens_at_is_told(cli, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("time.sleep", lambda _: None)
    result = cli("list", "--region", "us-east-1")
    assert result.exit_code == 1
    assert result.output.startswith("Error: AWS cannot be reached: Could not connect")


def test_what_may_not_be_looked_at_is_not_checked_never_ok():
    def check():
        raise refusal("AccessDenied", "no", "GetRole")
        yield

    assert list(guarded("service role", check)) == [
        Check(
            Verdict.NOT_CHECKED, "service role", "you lack the permission iam:GetRole"
        )
    ]


def test_other_refusals_fail_a_check():
    def check():
        raise refusal("InternalFailure", "oh", "GetRole")
        yield

    [found] = guarded("service role", check)
    assert found.verdict is Verdict.FAILED


def run_without(module, *arguments):
    """Run the command line where a module is not installed."""
    script = f"""
        import importlib.abc, sys
        class Missing(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == {module!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        sys.meta_path.insert(0, Missing())
        sys.argv = ["personalize-segments", *{arguments!r}]
        from cdk_personalize_segments.cli import main
        main()
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("module", ["typer", "rich", "boto3"])
def test_without_the_extra_cli_the_command_says_how_to_install_it(module):
    ended = run_without(module, "--help")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"personalize-segments needs {module}, which is not installed; run "
        "pip install 'cdk-personalize-segments[cli]'"
    )
    assert "Traceback" not in ended.stderr


def test_without_the_extra_local_only_local_says_so():
    ended = run_without("moto", "local", "start")
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("Error: Local AWS needs moto; pip install")
    assert "cdk-personalize-segments[local]" in last
    assert run_without("moto", "doctor", "--help").returncode == 0
