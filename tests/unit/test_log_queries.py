"""The saved queries in the template."""

import pytest
from aws_cdk.assertions import Template

QUERY = "AWS::Logs::QueryDefinition"


def queries(stack):
    found = Template.from_stack(stack).find_resources(QUERY)
    return {each["Properties"]["Name"]: each["Properties"] for each in found.values()}


def test_they_are_in_a_folder_of_the_pipeline(stack, make_pipeline):
    for name in ("Segments", "Other"):
        make_pipeline(name).add_log_queries()
    found = queries(stack)
    assert len(found) == 2 * 10
    folders = {each.rpartition("/")[0] for each in found}
    assert len(folders) == 2
    assert all(each.startswith("PersonalizeSegments/Films-") for each in folders)
    for name, each in found.items():
        assert len(name) <= 255
        assert len(each["LogGroupNames"]) == 1


def test_each_asks_the_logs_that_know(stack, make_pipeline):
    make_pipeline().add_log_queries()
    asked = {
        name.rpartition("/")[2]: each["LogGroupNames"][0]["Ref"]
        for name, each in queries(stack).items()
    }
    assert "FunctionLogs" in asked["Errors by name"]
    assert "StateMachineLogs" in asked["The slowest runs"]


def test_none_are_saved_by_default(stack, make_pipeline):
    make_pipeline().add_dashboard()
    assert queries(stack) == {}


def test_calling_twice_is_refused(make_pipeline):
    pipeline = make_pipeline()
    pipeline.add_log_queries()
    with pytest.raises(ValueError, match="add_log_queries was called for the pipeline"):
        pipeline.add_log_queries()
