"""The documents that the functions print, which CloudWatch makes metrics of."""

import json

import pytest

from segment_tasks import metrics

NOW = "2026-01-02T03:04:05.678Z"
FILE = {"key": "users/part-00000.csv.gz", "bytes": 70, "sha256": "0", "rows": 9}
MANIFEST = {
    "finishedAt": NOW,
    "failure": None,
    "sources": [{"bytes": 30}, {"bytes": 12}],
    "queries": {"total": 3, "failed": 1},
    "users": 50,
    "results": {"queries": "s3://b/q", "users": "s3://b/u"},
    "parts": [{"files": [FILE, FILE]}],
    "job": {
        "queuedSince": "2026-01-02T01:00:00.000Z",
        "createdAt": "2026-01-02T01:10:00.000Z",
        "updatedAt": "2026-01-02T02:00:00.000Z",
    },
}


@pytest.fixture(autouse=True)
def _pipeline(monkeypatch):
    monkeypatch.setenv("RUN_PREFIX", "Films-1")


@pytest.fixture
def printed(capsys):
    def documents():
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return documents


def values_of(document):
    """Give what each directive of a document says, by its dimensions."""
    return {
        tuple(tuple(each) for each in directive["Dimensions"]): {
            metric["Name"]: (document[metric["Name"]], metric["Unit"])
            for metric in directive["Metrics"]
        }
        for directive in document["_aws"]["CloudWatchMetrics"]
    }


def test_a_run_is_one_document_with_all_that_it_came_to(printed):
    metrics.put_end(MANIFEST)
    [document] = printed()
    assert document["_aws"]["Timestamp"] == 1_767_323_045_678
    assert document["Pipeline"] == "Films-1"
    assert values_of(document) == {
        (("Pipeline",),): {
            "Runs": (1, "Count"),
            "SucceededRuns": (1, "Count"),
            "FailedRuns": (0, "Count"),
            "Queries": (3, "Count"),
            "InputBytes": (42, "Bytes"),
            "FailedQueries": (1, "Count"),
            "Users": (50, "Count"),
            "OutputBytes": (140, "Bytes"),
            "QueueTime": (600, "Seconds"),
            "JobTime": (3000, "Seconds"),
        }
    }


def test_a_failed_run_counts_by_its_error_too_and_what_is_not_known_is_left_out(
    printed,
):
    failure = {"error": "InvalidInput", "cause": "bad"}
    metrics.put_end(
        {**MANIFEST, "failure": failure, "sources": [], "results": None, "job": None}
    )
    [document] = printed()
    assert document["Error"] == "InvalidInput"
    assert values_of(document) == {
        (("Pipeline",),): {
            "Runs": (1, "Count"),
            "SucceededRuns": (0, "Count"),
            "FailedRuns": (1, "Count"),
        },
        (("Pipeline", "Error"),): {"FailedRuns": (1, "Count")},
    }
