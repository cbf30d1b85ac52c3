"""What tests can make the emulated Personalize do, and the very form of its output."""

import json
from datetime import timedelta
from itertools import combinations

import pytest

from cdk_personalize_segments.local.personalize import JobTiming, segments
from cdk_personalize_segments.local.personalize.behaviour import BEHAVIOURS, Behaviour

pytestmark = pytest.mark.emulates("personalize:CreateBatchSegmentJob")
# Lines of real outputs, as AWS's sample notebooks show them.
RECORDED = {
    "aws-item-affinity": (
        '{"input": {"itemId": "1"}, "output": {"usersList": ["61","22","57","72","26",'
        '"41","33","4","34","43"]}, "error": null}\n'
        '{"input": {"itemId": "110"}, "output": {"usersList": ["34","72","41","26",'
        '"21","22","4","61","57","38"]}, "error": null}\n'
    ),
    "aws-item-attribute-affinity": (
        '{"input": {"itemAttributes": "ITEMS.CATEGORY_L1 = \\"tools\\""}, "output": '
        '{"usersList": ["2131","2504","4680","4712","3965","3867","517","321","1177",'
        '"2056"]}, "error": null}\n'
    ),
}


@pytest.mark.parametrize("recipe", RECORDED)
def test_recorded_outputs_are_reproduced_to_the_byte(aws, pipeline, tmp_path, recipe):
    lines = [json.loads(line) for line in RECORDED[recipe].splitlines()]
    interactions = [
        # Each likes the item less than the one before.
        f"{user},{line['input'].get('itemId', 'hammer')},{1000 - place}"
        for line in lines
        for place, user in enumerate(line["output"]["usersList"])
    ]
    items = ["1,toys", "110,toys", "hammer,tools"]
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "items.csv").write_text("\n".join(["ITEM_ID,CATEGORY_L1", *items]))
    header = "USER_ID,ITEM_ID,EVENT_VALUE"
    for number, line in enumerate(lines):
        # One data set per line, as users of one query may be users of another.
        mine = interactions[number * 10 : number * 10 + 10]
        (shop / "interactions.csv").write_text("\n".join([header, *mine]))
        version = aws.personalize.seed(shop, recipe=recipe, name=f"shop-{number}")
        pipeline.put("run/part.json", line["input"])
        job = pipeline.finish(
            jobName=f"run-{number}", solutionVersionArn=version, numResults=10
        )

        assert job["status"] == "ACTIVE"
        assert pipeline.output() == RECORDED[recipe].splitlines(keepends=True)[number]


def test_texts_of_any_script_are_written_as_they_are(pipeline):
    pipeline.segments({"itemId": "購入 \u00e9\U0001f600"})

    assert pipeline.output().startswith(
        '{"input": {"itemId": "購入 \u00e9\U0001f600"},'
    )


def test_the_behaviours_are_all_there_is():
    names = {name for name in vars(Behaviour) if not name.startswith("_")}
    settings = set(Behaviour.__annotations__)

    assert set(BEHAVIOURS) - {"occupy"} == (names | settings) - {
        "reset_behaviour",
        "scripted",
    }


def test_all_behaviour_can_be_reset(aws, pipeline):
    personalize = aws.personalize
    normal = vars(Behaviour())
    personalize.timing = JobTiming(timedelta(), timedelta())
    personalize.training_timing = JobTiming(timedelta(), timedelta())
    personalize.query_errors = {"1": "No"}
    personalize.drop_queries = {"2"}
    personalize.shape = "documented"
    personalize.distortions = {"reversed"}
    personalize.fail_next_job("No")
    personalize.fail_next_training("No")
    personalize.delay_output(timedelta(hours=1))
    personalize.script("CreateBatchSegmentJob", errors=["InternalFailure"])

    personalize.reset_behaviour()

    assert {key: vars(personalize)[key] for key in normal} == normal
    assert pipeline.segments({"itemId": "1"}, {"itemId": "2"})[0]["error"] is None


@pytest.mark.emulates("behaviour:timing")
def test_jobs_can_take_different_times(aws, pipeline):
    pipeline.put("run/part.json", {"itemId": "1"})
    slow = pipeline.create(jobName="slow")
    aws.personalize.timing = JobTiming(timedelta(), timedelta(seconds=5))
    fast = pipeline.create(jobName="fast")

    aws.clock.advance(seconds=5)

    assert pipeline.describe(fast)["status"] == "ACTIVE"
    assert pipeline.describe(slow)["status"] == "CREATE PENDING"


@pytest.mark.emulates("behaviour:distortions")
@pytest.mark.parametrize(
    "distortion",
    [
        pytest.param(name, marks=pytest.mark.emulates(f"distortion:{name}"))
        for name in segments.DISTORTIONS
    ],
)
def test_lines_can_be_odd(aws, pipeline, distortion):
    queries = [{"itemId": "1"}, {"itemId": "404"}, {"itemId": "3"}]
    plain = pipeline.segments(*queries)
    aws.personalize.distortions = {distortion}

    odd = pipeline.segments(*queries, jobName="odd")

    first, failed, last = plain
    assert (
        odd
        == {
            "reversed": [last, failed, first],
            "duplicated": [first, first, failed, failed, last, last],
            "extra keys": [{**line, "modelVersion": "2"} for line in plain],
            "no output": [
                first,
                {"input": {"itemId": "404"}, "error": failed["error"]},
                last,
            ],
        }[distortion]
    )


@pytest.mark.emulates("behaviour:shape")
@pytest.mark.parametrize("pair", list(combinations(segments.DISTORTIONS, 2)))
@pytest.mark.parametrize("shape", ["observed", "documented"])
def test_oddities_can_be_combined(aws, pipeline, pair, shape):
    aws.personalize.shape = shape
    aws.personalize.distortions = set(pair)

    lines = pipeline.segments({"itemId": "1"}, {"itemId": "404"})

    assert len(lines) == (4 if "duplicated" in pair else 2)
    failed = next(line for line in lines if line.get("error"))
    assert ("output" in failed) == ("no output" not in pair)
    assert ("modelVersion" in failed) == ("extra keys" in pair)
    assert ("error" in lines[-1]) or shape == "documented"


@pytest.mark.emulates("behaviour:script")
def test_a_burst_of_throttling_passes(aws, pipeline):
    aws.personalize.script("ListBatchSegmentJobs", errors=["ThrottlingException"] * 5)
    codes = []
    for _ in range(6):
        try:
            pipeline.personalize.list_batch_segment_jobs()
            codes.append(None)
        except pipeline.personalize.exceptions.ClientError as error:
            codes.append(error.response["Error"]["Code"])

    assert codes == ["ThrottlingException"] * 5 + [None]
