"""What local AWS does not honour is refused by its name, whatever the protocol."""

import re

import pytest
from botocore.exceptions import ClientError


@pytest.mark.bridge("cdk_personalize_segments.local.api")
@pytest.mark.parametrize(
    ("service", "operation", "parameters", "name"),
    [
        ("dynamodb", "list_tables", {}, "dynamodb"),
        ("cloudformation", "list_stack_sets", {}, "ListStackSets"),
        ("iam", "list_users", {}, "ListUsers"),
        ("stepfunctions", "list_activities", {}, "ListActivities"),
        ("lambda", "list_layers", {}, "ListLayers"),
        ("s3", "get_bucket_website", {"Bucket": "b"}, "GetBucketWebsite"),
        ("s3", "get_object_torrent", {"Bucket": "b", "Key": "k"}, "GetObjectTorrent"),
        ("personalize", "list_campaigns", {}, "ListCampaigns"),
    ],
)
def test_an_operation_that_is_not_honoured_is_refused_by_name(
    aws, service, operation, parameters, name
):
    call = getattr(aws.create_client(service, "us-east-1"), operation)
    refused = re.escape("local AWS does not honour this request") + f".*{name}"
    with pytest.raises(ClientError, match=refused) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == "NotImplemented"


def test_made_up_names_follow_from_the_seed():
    from cdk_personalize_segments.local import LocalAws

    def drawn(seed):
        account = LocalAws(seed=seed)
        first = account.chance("a").random()
        account.chance("b").random()
        return first, account.chance("a").random()

    assert drawn(1) == drawn(1)
    assert len({*drawn(1), *drawn(2)}) == 4
