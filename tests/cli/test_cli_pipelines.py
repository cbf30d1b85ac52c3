"""How a command finds its pipeline."""

import json

import pytest

pytestmark = pytest.mark.xdist_group("cli")


@pytest.fixture(scope="module")
def other_stack(local_aws):
    """A stack without any pipeline."""
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    client = local_aws.client("cloudformation")
    client.create_stack(StackName="Other", TemplateBody=json.dumps(template))
    yield
    client.delete_stack(StackName="Other")


def test_a_stack_with_several_pipelines_asks_which(cli, stack, environment):
    result = cli("list", "--stack", stack)
    assert result.exit_code == 1
    assert result.output == (
        "Error: There are several pipelines in the stack 'Cinema'; choose one with "
        "--pipeline: Cinema/Genres (stack Cinema), "
        "Cinema/Items (stack Cinema).\n"
    )


def test_a_stack_and_a_state_machine_are_too_much(cli, stack, environment, items):
    both = ("--stack", stack, "--state-machine", items.state_machine_arn)
    result = cli("list", *both)
    assert result.exit_code == 2
    assert "Give either --state-machine or --stack" in result.output


def test_an_execution_of_another_pipeline_is_refused(on_items, items):
    other = items.state_machine_arn.replace(":stateMachine:", ":execution:") + "x:y"
    result = on_items("status", other)
    assert result.exit_code == 1
    assert "is no execution of the pipeline Cinema/Items" in result.output


def test_a_part_of_the_path_is_enough(cli, stack, environment):
    result = cli("status", "--stack", stack, "--pipeline", "Gen")
    assert result.exit_code == 0
    assert "No run of Cinema/Genres is running." in result.output


def test_without_a_stack_all_stacks_are_searched(cli, stack, environment):
    result = cli("status", "--pipeline", "Cinema/Genres")
    assert "No run of Cinema/Genres is running." in result.output


def test_the_environment_may_name_the_pipeline(cli, stack, environment, monkeypatch):
    monkeypatch.setenv("PERSONALIZE_SEGMENTS_STACK", stack)
    monkeypatch.setenv("PERSONALIZE_SEGMENTS_PIPELINE", "Genres")
    assert "No run of Cinema/Genres is running." in cli("status").output


def test_a_state_machine_s_arn_needs_no_stack(cli, items, environment):
    result = cli(
        "status", "--state-machine", items.state_machine_arn, "--region", "eu-west-1"
    )
    assert result.exit_code == 0, result.output
    assert "is running" in result.output
    assert "in us-east-1 are in use" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--stack", "Nope"], "There is no stack 'Nope' in us-east-1"),
        (["--pipeline", "Nope"], "in us-east-1 is called 'Nope'; there are: "),
        (["--region", "eu-west-1"], "There is no BatchSegmentPipeline in eu-west-1"),
        (["--stack", "Other"], "no BatchSegmentPipeline in the stack 'Other'"),
        (["--state-machine", "films"], "must be the ARN of a state machine, like arn:"),
        (
            ["--state-machine", "arn:aws:states:us-east-1:123456789012:stateMachine:x"],
            "There is no state machine arn:aws:states",
        ),
        (["--profile", "nope"], "profile (nope) could not be found"),
    ],
)
@pytest.mark.usefixtures("other_stack")
def test_what_is_not_there_is_told_in_a_sentence(
    cli, stack, environment, arguments, told
):
    result = cli("list", *arguments)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert told in result.output
    assert len(result.output.splitlines()) == 1


def test_another_state_machine_is_told_from_a_pipeline_s(cli, environment):
    role = "arn:aws:iam::123456789012:role/any"
    other = environment.client("stepfunctions").create_state_machine(
        name="other",
        definition=json.dumps(
            {
                "QueryLanguage": "JSONata",
                "StartAt": "A",
                "States": {"A": {"Type": "Succeed"}},
            }
        ),
        roleArn=role,
    )["stateMachineArn"]
    result = cli("list", "--state-machine", other)
    assert result.exit_code == 1
    assert "is not one that a BatchSegmentPipeline of this version" in result.output
