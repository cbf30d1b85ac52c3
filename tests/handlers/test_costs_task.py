"""What a run used and costs: counted where it is used, and priced by one table."""

import json
import threading

import pytest

from segment_tasks import costs, finish, objects, usage

LATER = "2026-01-05T06:00:20.000Z"
WAITED = "2026-01-05T06:00:08.000Z"


class Clock:
    """A call that has taken so many milliseconds, as told after its begin."""

    def __init__(self, *left):
        self._left = list(left)

    def get_remaining_time_in_millis(self):
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


def cost_of(cloud, run):
    return cloud.json(f"results/{run['name']}/manifest.json")["cost"]


@pytest.fixture
def collected(cloud, answer_line):
    """A run of two parts of which all is collected, with its job."""
    ids = [str(each) for each in range(501)]
    run, job = cloud.ready(*ids)
    cloud.answer(*(answer_line(each, "u1", "u2") for each in ids[:500]))
    cloud.answer(answer_line(ids[500], "u1"), part=1)
    for part in (0, 1):
        cloud.collect(run, job, part)
    return run, job


def ended(cloud, run, job, context=None, **event):
    finish.handler(
        {
            "now": LATER,
            "execution": {
                "arn": "arn:aws:states:us-east-1:123456789012:execution:pipeline:one",
                "startedAt": "2026-01-05T06:00:00.000Z",
            },
            "run": run,
            "job": job,
            "waiting": {"since": None, "attempts": 0, "refusedSince": None},
            "looking": {"since": None, "rounds": 1, "parts": 2},
            "maxFailedQueries": None,
            "failure": None,
            **event,
        },
        context or Clock(900_000),
    )
    return cost_of(cloud, run)


def test_the_sum_is_that_of_what_was_used_at_the_prices_of_the_table(
    cloud, collected, monkeypatch
):
    monkeypatch.setattr(costs, "_processor", lambda: "aarch64")
    cost = ended(cloud, *collected)
    used = cost["used"]
    assert cost["transitions"] == pytest.approx(used["transitions"] * 0.025 / 1000)
    assert cost["functions"] == pytest.approx(
        used["functionCalls"] * 0.2e-6 + used["functionGbSeconds"] * 0.0000133334,
        abs=1e-8,
    )
    assert cost["requests"] == pytest.approx(
        used["writeRequests"] * 0.005 / 1000 + used["readRequests"] * 0.0004 / 1000
    )
    assert cost["total"] == pytest.approx(
        cost["transitions"] + cost["functions"] + cost["requests"], abs=1e-8
    )
    gigabytes = used["storedBytes"] / 2**30
    assert cost["storagePerMonth"] == pytest.approx(gigabytes * 0.023, abs=1e-8)
    assert cost["currency"] == "USD"
    assert cost["prices"]["region"] == "us-east-1"
    assert all(each.startswith("https://aws.") for each in cost["prices"]["sources"])


def test_the_other_processor_costs_more(cloud, collected, monkeypatch):
    totals = []
    for processor in ("aarch64", "x86_64"):
        monkeypatch.setattr(costs, "_processor", lambda kind=processor: kind)
        job = {**collected[1], "queuedSince": WAITED}
        totals.append(ended(cloud, collected[0], job)["functions"])
    # All but the price of the calls themselves.
    assert totals[1] / totals[0] == pytest.approx(1.25, rel=0.01)


def test_time_is_that_of_preparing_of_calls_of_parts_and_of_ending(cloud, collected):
    run, job = collected
    waiting = {"since": WAITED, "attempts": 3, "refusedSince": None}
    job = {**job, "queuedSince": WAITED, "looks": 5}
    for part, milliseconds in ((0, 4000), (1, 1500)):
        key = f"results/{run['name']}/parts/part-{part:05d}.json"
        account = cloud.json(key)
        account["used"]["milliseconds"] = milliseconds
        cloud.put(key, json.dumps(account), "outputs")
    cost = ended(cloud, run, job, Clock(900_000, 899_000), waiting=waiting)
    assert cost["used"]["functionCalls"] == 1 + 4 + 5 + 2 + 1
    expected = (8 * 1769 + (4 + 5) * 256 + 5.5 * 1769 + 1 * 512) / 1024
    assert cost["used"]["functionGbSeconds"] == pytest.approx(expected, abs=0.001)


def test_the_time_of_a_part_is_that_of_all_its_calls(cloud, answer_line, monkeypatch):
    run, job = cloud.ready("a", "b")
    cloud.answer(answer_line("a", "u"), answer_line("b", "u"))
    monkeypatch.setattr("segment_tasks.collect._RESERVE_SECONDS", 900)
    cloud.collect(run, job, context=Clock(900_000, 899_000, 898_000))
    monkeypatch.setattr("segment_tasks.collect._RESERVE_SECONDS", 300)
    key = f"results/{run['name']}/parts/part-00000.json"
    before = cloud.json(key)
    assert before["progress"]
    cloud.collect(run, job, context=Clock(900_000, 895_000))
    used, earlier = cloud.json(key)["used"], before["used"]
    assert used["milliseconds"] == earlier["milliseconds"] + 5000
    assert used["reads"] > earlier["reads"]
    assert used["raw"] == earlier["raw"] > 0


def test_requests_and_bytes_of_a_run_are_those_that_were_made(
    cloud, answer_line, monkeypatch
):
    made = []
    monkeypatch.setattr(usage, "count_request", count(made, usage.count_request))
    objects.clients.s3.cache_clear()
    run, job = cloud.ready("a", "b", "c")
    cloud.answer(*(answer_line(each, "u1", "u2") for each in "abc"))
    cloud.collect(run, job)
    used = ended(cloud, run, job, looking={"since": None, "rounds": 1, "parts": 1})
    used = used["used"]
    writes = [each for each in made if each.startswith(("Put", "List"))]
    reads = [each for each in made if each.startswith("Get")]
    assert used["writeRequests"] == len(writes)
    assert used["readRequests"] == len(reads)
    name = run["name"]
    kept = [
        cloud.s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
        for bucket, prefix in (
            ("inputs", f"input/{name}"),
            ("outputs", f"output/{name}/"),
            ("outputs", f"results/{name}/"),
        )
        for key in cloud.keys(prefix, bucket)
        if not key.endswith(("plan.json", "manifest.json")) and "/parts/" not in key
    ]
    # And the account of the part, when collecting begins.
    assert sum(kept) < used["storedBytes"] < sum(kept) + 300


def count(made, counted):
    def count_request(operation_name, **rest):
        made.append(operation_name)
        counted(operation_name, **rest)

    return count_request


def test_a_refused_run_costs_what_it_took_to_refuse(cloud):
    cloud.put("queries/a.json", "nonsense\n")
    run = cloud.prepare()["run"]
    failure = {"error": "InvalidInput", "cause": "No."}
    looking = {"since": None, "rounds": 1, "parts": 0}
    used = ended(cloud, run, None, failure=failure, looking=looking)["used"]
    assert (used["transitions"], used["functionCalls"]) == (4, 2)
    assert used["functionGbSeconds"] == pytest.approx(20 * 1769 / 1024, abs=0.001)
    assert used["readRequests"] >= 1
    assert used["writeRequests"] >= 2


def test_a_resumed_run_does_not_pay_for_the_input_again(cloud):
    cloud.items("a", "b")
    old = cloud.prepare()["run"]
    run = cloud.prepare({"resume": old["name"]}, execution="arn:2")["run"]
    failure = {"error": "QueueTimeout", "cause": "No."}
    looking = {"since": None, "rounds": 1, "parts": 1}
    used = ended(cloud, run, None, failure=failure, looking=looking)["used"]
    assert old["used"]["bytes"] > used["storedBytes"] == 0


def test_a_redriven_execution_does_not_count_the_time_between(cloud):
    cloud.put("queries/a.json", "nonsense\n")
    run = cloud.prepare()["run"]
    used = ended(
        cloud,
        run,
        None,
        now="2026-01-08T06:00:00.000Z",
        failure={"error": "InvalidInput", "cause": "No."},
    )["used"]
    assert used["functionGbSeconds"] == pytest.approx(900 * 1769 / 1024, abs=0.001)


@pytest.mark.parametrize(
    ("state", "entered"),
    [
        ("Prepare input", 1),
        ("Create job", 3 + 3),
        ("Look at the job", 4 + 2),
        ("Collect segments", 4 + 3 + 1 + 2),
        ("Account for every query", 4 + 3 + 3 + 1),
    ],
)
def test_states_are_counted_up_to_the_one_that_failed(state, entered):
    prepared = state != "Prepare input"
    polled = prepared and state != "Create job"
    looked = polled and state != "Look at the job"
    event = {
        "run": {"prepared": "films-1"} if prepared else None,
        "waiting": {"attempts": 1 if state == "Create job" else 0},
        "job": {"looks": 1 if looked else 0} if polled else None,
        "looking": {"rounds": 1, "parts": 2},
        "failure": {"state": state, "caught": {}},
    }
    # And then Record failure, Run failed.
    assert costs.transitions(event) == entered + 2


def test_requests_of_several_threads_are_all_counted():
    meter = usage.Meter(Clock(1))
    threads = [
        threading.Thread(
            target=lambda: [usage.count_request("GetObject") for _ in range(2000)]
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.used() == {"reads": 16_000, "writes": 0, "bytes": 0}


@pytest.mark.parametrize(
    ("operation", "reads", "writes"),
    [
        ("GetObject", 1, 0),
        ("HeadObject", 1, 0),
        ("PutObject", 0, 1),
        ("ListObjectsV2", 0, 1),
        ("ListObjectVersions", 0, 1),
        ("CreateMultipartUpload", 0, 1),
        ("UploadPart", 0, 1),
        ("CompleteMultipartUpload", 0, 1),
        ("DeleteObject", 0, 0),
        ("AbortMultipartUpload", 0, 0),
    ],
)
def test_a_request_is_counted_as_s3_charges_for_it(operation, reads, writes):
    meter = usage.Meter(Clock(1))
    usage.count_request(operation)
    assert meter.used() == {"reads": reads, "writes": writes, "bytes": 0}
