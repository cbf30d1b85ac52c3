"""A run on real data, where it is at hand: people's ratings of films."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

DATA = Path(__file__).parents[3] / "shared" / "data" / "movielens"
COMEDY = {"itemAttributes": 'ITEMS.GENRES = "Comedy"'}

pytestmark = [
    pytest.mark.xdist_group("runs"),
    pytest.mark.skipif(not DATA.is_dir(), reason="the data set is not at hand"),
]


def test_a_segment_for_comedies_holds_those_who_rate_comedies_best(aws, deploy):
    version = aws.personalize.seed(
        DATA, recipe="aws-item-attribute-affinity", name="movielens"
    )
    [pipeline] = deploy(
        "MovieLens",
        lambda stack: {
            "P": BatchSegmentPipeline(
                stack,
                "P",
                solution_version=SolutionVersion.from_arn(version),
                num_results=20,
            )
        },
    ).values()
    pipeline.put("genres", [COMEDY, {"itemAttributes": 'ITEMS.GENRES = "Horror"'}])
    execution = pipeline.run("genres")
    assert execution.status == "SUCCEEDED", execution.cause
    comedy, horror = pipeline.users(execution.output["run"]).values()
    assert len(comedy) == len(horror) == 20
    assert comedy != horror
    liking = _liking_of("Comedy")
    inside = sum(liking[user] for user in comedy) / 20
    others = [score for user, score in liking.items() if user not in comedy]
    assert inside > sum(others) / len(others)


def _liking_of(genre):
    """Sum how much better than usual each user rated the films of a genre."""
    with (DATA / "items.csv").open() as file:
        films = {
            row["ITEM_ID"]
            for row in csv.DictReader(file)
            if genre in row["GENRES"].split("|")
        }
    liking = defaultdict(float)
    with (DATA / "interactions.csv").open() as file:
        for row in csv.DictReader(file):
            if row["ITEM_ID"] in films:
                liking[row["USER_ID"]] += float(row["EVENT_VALUE"])
    return liking
