"""SDK clients of the process that local AWS runs in."""

import json

import boto3
import botocore.session
import pytest
import urllib3.util.connection
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError


@pytest.fixture
def no_connections(monkeypatch):
    def refuse(*_, **__):
        raise OSError("a connection was made")

    monkeypatch.setattr(urllib3.util.connection, "create_connection", refuse)


@pytest.fixture
def client_of(local_aws):
    def make(service, **options):
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=local_aws.endpoint_url,
            **{
                "aws_access_key_id": "local",
                "aws_secret_access_key": "local",
                **options,
            },
        )

    return make


def test_clients_of_this_process_need_no_connection(client_of, no_connections):
    s3 = client_of("s3")
    s3.create_bucket(Bucket="direct")
    key, body = "a folder/ünï +&?%2F.txt", b"\x00\xff" * 100_000
    s3.put_object(Bucket="direct", Key=key, Body=body, Metadata={"a_b": "c"})
    found = s3.get_object(Bucket="direct", Key=key)
    assert found["Body"].read(3) == b"\x00\xff\x00"
    assert found["Body"].read() == body[3:]
    assert found["Metadata"] == {"a_b": "c"}
    assert s3.head_object(Bucket="direct", Key=key)["ContentLength"] == 200_000
    assert s3.list_objects_v2(Bucket="direct")["Contents"][0]["Key"] == key
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="direct", Key="other")


def test_what_is_refused_over_connections_is_refused_without(
    client_of, local_aws, no_connections
):
    role = local_aws.client("iam").create_role(
        RoleName="direct", AssumeRolePolicyDocument=json.dumps({})
    )["Role"]["Arn"]
    with pytest.raises(ClientError, match="not authorized to perform: s3:ListBucket"):
        client_of("s3", **local_aws.sessions.issue(role)).list_objects_v2(
            Bucket="direct"
        )
    with pytest.raises(ClientError, match="GetLayerVersion of lambda is not emulated"):
        client_of("lambda").get_layer_version(LayerName="layer", VersionNumber=1)


def test_requests_to_others_are_not_led_here(no_connections):
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url="http://localhost:9",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(EndpointConnectionError):
        client.list_buckets()


def test_models_of_services_are_read_once(local_aws):
    def model():
        loader = botocore.session.Session().get_component("data_loader")
        return loader.load_service_model("personalize", "service-2")

    assert model() is model()
