"""Every property is checked at synth, with a sentence that says what to change."""

import re

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_s3 as s3

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

SOLUTION = "arn:aws:personalize:us-east-1:111122223333:solution/films"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"num_results": 0}, "num_results must be 1 to 5,000,000, got 0"),
        ({"num_results": 5_000_001}, "num_results must be 1 to 5,000,000, got 5000001"),
        ({"num_results": True}, "num_results must be a whole number, got True"),
        (
            {"filter_arn": SOLUTION},
            "filter_arn must be the ARN of a filter, like "
            "arn:aws:personalize:REGION:ACCOUNT:filter/NAME, got "
            f"'{SOLUTION}', which is a solution",
        ),
        (
            {"job_tags": {f"k{n}": "v" for n in range(51)}},
            "job_tags must hold at most 50 tags, got 51",
        ),
        (
            {"job_tags": {"": "v"}},
            "job_tags: a key must have 1 to 128 characters, got 0",
        ),
        (
            {"job_tags": {"team": "x" * 257}},
            "job_tags: a value must have at most 256 characters, got 257 for the "
            "key 'team'",
        ),
        (
            {"job_tags": {"aws:team": "x"}},
            "job_tags: keys that start with 'aws:' are reserved, got 'aws:team'",
        ),
        (
            {"job_tags": {"team": "a{b"}},
            "job_tags: the character '{' is not allowed (key 'team'); use letters, "
            "digits, spaces and _.:/=+-@",
        ),
        ({"job_tags": {"team": 7}}, "job_tags: keys and values must be strings"),
        (
            {"queries_prefix": "queries"},
            "queries_prefix must be a folder that ends in '/', does not start with "
            "one and has no empty name inside, like 'segments/queries/', got "
            "'queries'",
        ),
        ({"input_prefix": "/input/"}, "input_prefix must be a folder"),
        ({"output_prefix": ""}, "output_prefix must be a folder"),
        ({"results_prefix": "a//b/"}, "results_prefix must be a folder"),
        (
            {"queries_prefix": "in/", "input_prefix": "in/prepared/"},
            "queries_prefix 'in/' and input_prefix 'in/prepared/' lie in the same "
            "bucket and one contains the other; choose prefixes beside each other",
        ),
        (
            {"output_prefix": "out/", "results_prefix": "out/"},
            "output_prefix 'out/' and results_prefix 'out/' lie in the same bucket",
        ),
        (
            {"input_prefix": "x" * 150 + "/"},
            "Personalize takes at most 256: shorten it by",
        ),
        ({"output_prefix": "x" * 150 + "/"}, "output_prefix makes S3 paths of up to"),
        ({"max_failed_queries": -1}, "max_failed_queries must be a whole number"),
        ({"max_failed_queries": 1.5}, "max_failed_queries must be a whole number"),
        (
            {"poll_interval": cdk.Duration.seconds(5)},
            "poll_interval must be at least 10 seconds, got 5 seconds",
        ),
        (
            {"poll_interval": cdk.Duration.millis(10_500)},
            "poll_interval must be whole seconds",
        ),
        (
            {"job_timeout": cdk.Duration.minutes(2)},
            "poll_interval (5 minutes) must not be longer than job_timeout (2 minutes)",
        ),
        (
            {"queue_timeout": cdk.Duration.seconds(30)},
            "queue_timeout must be at least 1 minute, got 30 seconds",
        ),
        (
            {"poll_interval": cdk.Duration.seconds(10)},
            "the history of a Step Functions execution holds; make poll_interval at "
            "least",
        ),
        (
            {"queue_timeout": cdk.Duration.days(30)},
            "the history of a Step Functions execution holds; shorten queue_timeout",
        ),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(
    make_pipeline, properties, message
):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_pipeline(**properties)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (
            {"solution_version": SOLUTION},
            "solution_version must be a SolutionVersion, like "
            "SolutionVersion.latest_of(solution_arn), got ",
        ),
        (
            {"allow_any_solution": "false"},
            "allow_any_solution must be True or False, got 'false'",
        ),
        (
            {"skip_invalid_lines": "yes"},
            "skip_invalid_lines must be True or False, got 'yes'",
        ),
        ({"input_bucket": "mine"}, "input_bucket must be a bucket, like"),
        ({"queries_prefix": None}, "queries_prefix must be a string, like"),
        ({"job_tags": ["a"]}, "job_tags must be a mapping, like"),
        (
            {"poll_interval": 300},
            "poll_interval must be a Duration, like cdk.Duration.minutes(5), got 300",
        ),
        ({"output_expiration": 90}, "output_expiration must be a Duration, like"),
    ],
)
def test_a_value_of_another_type_is_refused_with_what_is_wanted(
    make_pipeline, properties, message
):
    with pytest.raises(TypeError, match=re.escape(message)):
        make_pipeline(**properties)


@pytest.mark.parametrize("prefix", ["*/", "${aws:username}/", "a?/", "a b/"])
def test_a_prefix_cannot_become_more_than_a_prefix_in_a_policy(make_pipeline, prefix):
    with pytest.raises(ValueError, match="since it becomes part of policies"):
        make_pipeline(input_prefix=prefix)


@pytest.mark.parametrize(
    "expiration", [cdk.Duration.days(0), cdk.Duration.hours(12), cdk.Duration.hours(25)]
)
def test_an_expiration_is_whole_days(make_pipeline, expiration):
    with pytest.raises(ValueError, match="must be whole days, 1 or more, got"):
        make_pipeline(output_expiration=expiration)


def test_an_expiration_that_would_have_no_effect_is_refused(stack, make_pipeline):
    with pytest.raises(ValueError, match="output_expiration has no effect"):
        make_pipeline(
            output_bucket=s3.Bucket(stack, "Lake"),
            output_expiration=cdk.Duration.days(90),
        )


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"account": "111122223333", "region": "eu-west-1"},
            "is in the Region us-east-1, the pipeline in eu-west-1",
        ),
        (
            {"account": "999999999999", "region": "us-east-1"},
            "is in the account 111122223333, the pipeline in 999999999999",
        ),
    ],
)
@pytest.mark.parametrize("name", ["solution_version", "filter_arn", "input_bucket"])
def test_what_a_job_uses_is_where_the_pipeline_is(
    make_stack, environment, message, name
):
    stack = make_stack({}, env=cdk.Environment(**environment))
    here = "arn:aws:personalize:{region}:{account}:".format(**environment)
    there = "arn:aws:personalize:us-east-1:111122223333:"
    values = {
        "solution_version": SolutionVersion.latest_of(
            f"{there if name == 'solution_version' else here}solution/films"
        ),
    }
    if name == "filter_arn":
        values[name] = f"{there}filter/members"
    if name == "input_bucket":
        values[name] = s3.Bucket.from_bucket_attributes(
            stack,
            "Theirs",
            bucket_name="theirs",
            account="111122223333",
            region="us-east-1",
        )
    with pytest.raises(ValueError, match=f"{name} {message}"):
        BatchSegmentPipeline(stack, "Segments", **values)


def test_the_way_out_that_the_history_message_names_is_accepted(make_pipeline):
    with pytest.raises(ValueError, match="at least") as error:
        make_pipeline("Bad", poll_interval=cdk.Duration.seconds(10))
    seconds = int(re.search(r"at least (\d+) seconds", str(error.value))[1])
    make_pipeline("Good", poll_interval=cdk.Duration.seconds(seconds))


def test_prefixes_of_two_buckets_may_be_equal(make_pipeline):
    make_pipeline(queries_prefix="a/", results_prefix="a/")


def test_prefixes_in_one_shared_bucket_are_compared_with_each_other(
    stack, make_pipeline
):
    bucket = s3.Bucket(stack, "Both")
    with pytest.raises(ValueError, match="queries_prefix 'a/' and results_prefix"):
        make_pipeline(
            input_bucket=bucket,
            output_bucket=bucket,
            queries_prefix="a/",
            results_prefix="a/b/",
        )


def test_buckets_of_two_stacks_with_equal_ids_are_two(make_stack):
    app = make_stack({}).node.root
    first, second = (s3.Bucket(cdk.Stack(app, name), "Data") for name in ("One", "Two"))
    BatchSegmentPipeline(
        cdk.Stack(app, "Three"),
        "Segments",
        solution_version=SolutionVersion.latest_of(SOLUTION),
        input_bucket=first,
        output_bucket=second,
        queries_prefix="a/",
        results_prefix="a/",
    )


def test_two_imports_of_one_bucket_are_one(stack, make_pipeline):
    first, second = (
        s3.Bucket.from_bucket_name(stack, name, "data") for name in ("One", "Two")
    )
    with pytest.raises(ValueError, match="lie in the same bucket"):
        make_pipeline(
            input_bucket=first,
            output_bucket=second,
            queries_prefix="a/",
            results_prefix="a/",
        )


@pytest.mark.parametrize(
    "encryption", [s3.BucketEncryption.KMS, s3.BucketEncryption.KMS_MANAGED]
)
def test_a_bucket_with_a_kms_key_is_refused(stack, make_pipeline, encryption):
    bucket = s3.Bucket(stack, "Kms", encryption=encryption)
    with pytest.raises(ValueError, match="output_bucket is encrypted with a KMS key"):
        make_pipeline(output_bucket=bucket)


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        (
            SOLUTION,
            "which is a solution; for its newest version use "
            "SolutionVersion.latest_of(solution_arn)",
        ),
        ("arn:aws:personalize:us-east-1:111122223333:campaign/c", "is a campaign"),
        ("arn:aws:personalize:::recipe/aws-item-affinity", "is a recipe"),
        ("arn:aws:kms:us-east-1:111122223333:alias/a", "the ARN of a kms alias"),
        ("films", "which is not an ARN"),
        (f"{SOLUTION}/v/w", "must be the ARN of a solution version"),
        (f"{SOLUTION}/" + "v" * 256, "of at most 256 characters"),
        (f"{SOLUTION.replace('111122223333', '1111')}/v", "must be the ARN of"),
        (None, "must be the ARN of a solution version"),
    ],
)
def test_another_arn_than_that_of_a_solution_version_is_named(arn, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SolutionVersion.from_arn(arn)


def test_a_solution_version_where_a_solution_is_wanted_is_named():
    with pytest.raises(ValueError, match=r"for just this version use SolutionVersion"):
        SolutionVersion.latest_of(f"{SOLUTION}/a1b2c3d4")


def test_tokens_pass_and_are_left_to_the_run(stack):
    text = cdk.CfnParameter(stack, "Arn").value_as_string
    number = cdk.CfnParameter(stack, "Number", type="Number").value_as_number
    BatchSegmentPipeline(
        stack,
        "FromArn",
        solution_version=SolutionVersion.from_arn(text),
        num_results=number,
        max_failed_queries=number,
        filter_arn=text,
        job_tags={"team": text},
    )
    BatchSegmentPipeline(
        stack, "Latest", solution_version=SolutionVersion.latest_of(text)
    )


@pytest.mark.parametrize("name", ["queries_prefix", "results_prefix"])
def test_a_prefix_must_be_known_at_synth(stack, make_pipeline, name):
    token = cdk.CfnParameter(stack, "Prefix").value_as_string
    with pytest.raises(ValueError, match=f"{name} must be known at synth"):
        make_pipeline(**{name: token})


def test_a_time_must_be_known_at_synth(make_pipeline):
    token = cdk.Duration.seconds(cdk.Lazy.number(_Sixty()))
    with pytest.raises(ValueError, match="job_timeout must be known at synth"):
        make_pipeline(job_timeout=token)


@pytest.mark.parametrize(
    ("region", "warned"), [("eu-west-3", True), ("eu-west-1", False), (None, False)]
)
def test_a_region_without_personalize_is_warned_of(make_stack, region, warned):
    environment = cdk.Environment(account="111122223333", region=region)
    stack = make_stack({}, env=environment)
    solution = SOLUTION.replace("us-east-1", region or "us-east-1")
    BatchSegmentPipeline(
        stack, "Segments", solution_version=SolutionVersion.latest_of(solution)
    )
    assert warned == (
        "cdk-personalize-segments:regionWithoutPersonalize" in _warnings(stack)
    )


@pytest.mark.parametrize(
    "arn", ["", "arn:aws:lambda:us-east-1:111122223333:function:f", "films"]
)
def test_a_pipeline_is_imported_by_the_arn_of_a_state_machine_only(stack, arn):
    with pytest.raises(ValueError, match="must be the ARN of a state machine"):
        BatchSegmentPipeline.from_state_machine_arn(stack, "Imported", arn)


def _warnings(stack):
    [artifact] = stack.node.root.synth().stacks
    return "\n".join(str(message.entry.data) for message in artifact.messages)


@jsii.implements(cdk.INumberProducer)
class _Sixty:
    def produce(self, _context):
        return 60
