"""The pictures are those of the template, and show all that is in it."""

import generate_diagrams
import pytest

pytestmark = pytest.mark.xdist_group("snippets")


@pytest.fixture(scope="module")
def stack():
    return generate_diagrams.synthesise()


@pytest.fixture(scope="module")
def drawn(stack):
    return generate_diagrams.pictures(stack)


@pytest.mark.parametrize("page", generate_diagrams.PAGES, ids=lambda page: page.name)
def test_the_pictures_are_those_of_the_template(page, drawn):
    text = page.read_text(encoding="utf-8")
    assert generate_diagrams.generated(text, drawn) == text, "Run `make docs-tables`."
    for picture in drawn.values():
        assert picture in text


def test_every_state_is_drawn(stack, drawn):
    states = generate_diagrams.definition(stack)["States"]
    assert len(states) > 10
    for name in states:
        assert f'"{name}' in drawn["state machine"]


def test_every_function_and_folder_is_drawn(stack, drawn):
    functions = stack.of_type("AWS::Lambda::Function")
    assert functions
    for name in functions:
        assert f'[["{stack.names[name]}"]]' in drawn["architecture"]
    for folder in ("queries/", "input/", "output/", "results/"):
        assert f':<br>{folder}")' in drawn["architecture"]


def test_a_permission_more_is_an_arrow_more(stack, drawn):
    [role] = [name for name in stack.resources if "PollJobRole" in name]
    bucket = next(name for name in stack.of_type("AWS::S3::Bucket") if "Input" in name)
    policies = stack.resources[role]["Properties"]["Policies"]
    policies.append(
        {
            "PolicyDocument": {
                "Statement": [
                    {
                        "Action": "s3:GetObject",
                        "Effect": "Allow",
                        "Resource": {
                            "Fn::Join": [
                                "",
                                [{"Fn::GetAtt": [bucket, "Arn"]}, "/queries/*"],
                            ]
                        },
                    }
                ]
            }
        }
    )
    try:
        changed = generate_diagrams.architecture(stack)
    finally:
        policies.pop()
    assert changed.count("-->") == drawn["architecture"].count("-->") + 1
