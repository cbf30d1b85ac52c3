"""Tests a stack of your own: copy it beside your app's `cdk.json`.

`data` holds your `items.csv` and `interactions.csv`, and the stack `Films` one pipeline
over the solution `films`.
"""


def test_who_likes_a_film_is_in_its_segment(local_aws):
    local_aws.seed("data", name="films")
    [machine] = local_aws.deploy("Films")["Films"].values()
    execution = local_aws.run(machine, queries=[{"itemId": "1"}, {"itemId": "2"}])
    segments = local_aws.segments(execution)
    assert segments["1"] == ["ann", "bob"]
    assert "cid" in segments["2"]
