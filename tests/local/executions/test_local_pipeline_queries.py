"""Queries are for the state machine of a pipeline."""

import pytest

from cdk_personalize_segments.local import LocalAwsError


def test_another_state_machine_takes_no_queries(machine, local_aws):
    other = machine({"Pass": {"Type": "Pass", "End": True}})
    with pytest.raises(LocalAwsError, match="is not the state machine of a Batch"):
        local_aws.run(other.arn, queries=[{"itemId": "1"}])


def test_a_state_machine_that_is_not_there_is_named(local_aws):
    gone = "arn:aws:states:us-east-1:123456789012:stateMachine:gone"
    with pytest.raises(LocalAwsError, match=r"gone cannot be asked: .*DoesNotExist"):
        local_aws.run(gone, queries=[{"itemId": "1"}])
