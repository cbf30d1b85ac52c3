"""A run from query file to segments, through all handlers."""

import json


def test_a_file_of_items_becomes_segments(cloud, answer_line):
    cloud.items("1", "2", "3")
    prepared = cloud.prepare()
    assert prepared["outcome"] == "ready", prepared
    run = prepared["run"]
    created = cloud.create(run)
    assert created["outcome"] == "created", created
    job = created["job"]
    polled = cloud.poll(run, job, "2026-01-05T06:05:00Z")
    assert polled["outcome"] == "working"
    cloud.personalize.jobs[job["arn"]]["status"] = "ACTIVE"
    polled = cloud.poll(run, polled["job"], "2026-01-05T06:10:00Z")
    assert polled["outcome"] == "done"
    cloud.answer(
        answer_line("3", "a"),
        answer_line("1", "b", "c"),
        answer_line("2", error="unknown item"),
    )
    assert cloud.collect(run, polled["job"]) == {"part": 0}
    finished = cloud.finish(run, polled["job"])
    print(json.dumps(finished, indent=1))
    print(cloud.text(f"results/{run['name']}/manifest.json"))
    print(cloud.text(f"results/{run['name']}/queries/part-00000.jsonl.gz"))
    print(cloud.text(f"results/{run['name']}/users/part-00000.csv.gz"))
    assert finished["outcome"] == "succeeded"
