"""The catalogue that ships with the project, and the segments computed from it."""

import csv
import json
import runpy
from pathlib import Path

import pytest

from cdk_personalize_segments.local.personalize.affinity import Affinity
from cdk_personalize_segments.local.personalize.dataset import load

CATALOGUE = Path(__file__).parents[3] / "examples" / "catalogue"
FILES = [
    "items.csv",
    "users.csv",
    "interactions.csv",
    "item-queries.jsonl",
    "genre-queries.jsonl",
]
GENRES = ["Action", "Animation", "Comedy", "Documentary", "Drama", "Horror"]


@pytest.fixture(scope="module")
def films():
    return load(CATALOGUE)


def test_the_files_are_those_that_the_script_writes(tmp_path):
    runpy.run_path(str(CATALOGUE / "generate.py"))["main"](tmp_path)

    for name in FILES:
        assert (tmp_path / name).read_bytes() == (CATALOGUE / name).read_bytes()


@pytest.mark.parametrize("genre", GENRES)
def test_the_first_of_a_segment_spend_most_of_their_liking_on_the_genre(films, genre):
    def liking(user):
        weights = films.weights[user].items()
        of_genre = sum(w for item, w in weights if genre in films.items[item]["GENRES"])
        return of_genre / sum(abs(weight) for _, weight in weights)

    segment = Affinity(films).users_for_attributes([("GENRES", genre)])
    everybody = sorted(map(liking, films.weights))

    assert min(map(liking, segment[:10])) > everybody[-60]


def test_the_first_of_a_segment_liked_the_film_or_its_like(films):
    genres = set(films.items["film-001"]["GENRES"])
    first = Affinity(films).users_for_item("film-001")[:10]

    assert sum("film-001" in films.weights[user] for user in first) >= 5
    for user in first:
        seen = [set(films.items[item]["GENRES"]) for item in films.weights[user]]
        assert sum(bool(genres & each) for each in seen) > len(seen) / 3


def test_all_queries_of_the_catalogue_can_be_answered(films):
    affinity = Affinity(films)
    items = [
        json.loads(line)["itemId"]
        for line in (CATALOGUE / "item-queries.jsonl").read_text().splitlines()
    ]

    assert all(affinity.users_for_item(item) for item in items)
    assert len((CATALOGUE / "genre-queries.jsonl").read_text().splitlines()) == 10


def test_users_who_like_the_same_come_in_the_order_of_their_ids(tmp_path):
    rows = [("zoe", 1), ("abe", 1), ("mia", 1)]
    with (tmp_path / "interactions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("USER_ID", "ITEM_ID"), *rows])
    (tmp_path / "items.csv").write_text("ITEM_ID\n1\n")

    assert Affinity(load(tmp_path)).users_for_item("1") == ("abe", "mia", "zoe")
