"""The longest run that there can be, within Step Functions' limits."""

from datetime import timedelta

import pytest

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("limits")]

PARTS = 1000
# So many users a segment that five queries fill a part.
NUM_RESULTS = 5_000_000
QUERIES_PER_PART = 5


def test_a_day_queued_and_a_day_worked_fit_into_the_history(
    aws, deploy, tmp_path, monkeypatch
):
    items = [str(number) for number in range(PARTS * QUERIES_PER_PART)]
    (tmp_path / "items.csv").write_text("\n".join(["ITEM_ID", *items]))
    (tmp_path / "interactions.csv").write_text("USER_ID,ITEM_ID\nann,1\n")
    version = aws.personalize.seed(tmp_path, name="longest")
    [pipeline] = deploy(
        "Longest",
        lambda stack: {
            "P": BatchSegmentPipeline(
                stack,
                "P",
                solution_version=SolutionVersion.from_arn(version),
                num_results=NUM_RESULTS,
            )
        },
    ).values()
    pipeline.put("all", ({"itemId": item} for item in items))
    timing = type(aws.personalize.timing)
    monkeypatch.setattr(
        aws.personalize,
        "timing",
        timing(pending=timedelta(hours=1), working=timedelta(hours=22, minutes=52)),
    )
    aws.personalize.occupy(5, for_=timedelta(hours=23, minutes=45))
    # The end is noticed after 3 minutes: every part is looked for in vain once.
    aws.personalize.delay_output(timedelta(minutes=5))

    execution = aws.run(pipeline.state_machine_arn, {"queries": "all"}, timeout=900)
    aws.personalize.delay_output(timedelta())

    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["queries"] == PARTS * QUERIES_PER_PART
    took = execution.history[-1]["timestamp"] - execution.history[0]["timestamp"]
    assert took > timedelta(hours=47)
    collected = [
        event
        for event in execution.history
        if event.get("stateEnteredEventDetails", {}).get("name") == "Collect part"
    ]
    assert len(collected) == 2 * PARTS
    assert len(execution.history) < 20_000
