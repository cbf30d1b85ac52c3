#!/usr/bin/env python3
"""Makes up the catalogue of films in this folder: the same one every time.

Run it to write `items.csv`, `users.csv`, `interactions.csv` and the query files anew.
"""

import csv
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

SEED = 20260131
FILMS = 80
USERS = 300
# The last moment at which anybody watched anything: 2026-01-31T00:00:00Z.
END = 1769817600
YEAR_SECONDS = 365 * 24 * 3600

NOUNS = {
    "Action": ["Convoy", "Detonator", "Getaway", "Iron Bridge", "Last Stand"],
    "Animation": ["Paper Fox", "Button Moon", "Clockwork Owl", "Tin Parade"],
    "Comedy": [
        "Wedding Cake",
        "Wrong Suitcase",
        "Neighbours",
        "Dinner Party",
        "Budgie",
    ],
    "Documentary": ["Glacier", "Night Shift", "Salt Road", "Beekeepers"],
    "Drama": ["Harbour", "Inheritance", "Winter Letters", "Verdict", "Orchard"],
    "Horror": ["Cellar", "Lodger", "Hollow", "Lullaby"],
    "Romance": ["Platform Nine", "Summer House", "Second Waltz", "Postcard"],
    "Science Fiction": ["Orbit", "Signal", "Archive", "Terraform", "Copy of Me"],
    "Thriller": ["Alibi", "Ferry", "Blackmail", "Witness"],
}
ADJECTIVES = [
    "Borrowed",
    "Cold",
    "Distant",
    "Final",
    "Forgotten",
    "Golden",
    "Hidden",
    "Little",
    "Midnight",
    "Quiet",
    "Secret",
    "Silver",
]
COUNTRIES = ["Brazil", "France", "Germany", "India", "Japan", "United States"]
MEMBERSHIPS = ["none", "none", "silver", "gold"]
# How an interaction may go, with its weight.
EVENTS = {"click": 0.2, "watch": 1.0, "like": 2.0, "dislike": -1.0}

Row = dict[str, str | int | float]


def make_films(chance: random.Random) -> list[Row]:
    """Make up titles, each of one to three genres."""
    genres = list(NOUNS)
    titles = [
        (f"The {adjective} {noun}", genre)
        for genre, nouns in NOUNS.items()
        for noun in nouns
        for adjective in ADJECTIVES
    ]
    chance.shuffle(titles)
    films: list[Row] = []
    for number, (title, genre) in enumerate(titles[:FILMS], start=1):
        others = [other for other in genres if other != genre]
        more = chance.sample(others, chance.choice([0, 1, 1, 2]))
        films.append(
            {
                "ITEM_ID": f"film-{number:03d}",
                "TITLE": title,
                "GENRES": "|".join([genre, *more]),
                "YEAR": chance.randint(1975, 2025),
            }
        )
    return films


def make_users(chance: random.Random) -> list[Row]:
    """Make up users."""
    return [
        {
            "USER_ID": f"user-{number:04d}",
            "COUNTRY": chance.choice(COUNTRIES),
            "MEMBERSHIP": chance.choice(MEMBERSHIPS),
            "AGE": chance.randint(16, 80),
        }
        for number in range(1, USERS + 1)
    ]


def make_interactions(
    chance: random.Random, films: Sequence[Row], users: Sequence[Row]
) -> list[Row]:
    """Let each user watch films, mostly of one or two favourite genres."""
    interactions: list[Row] = []
    for user in users:
        favourites = set(chance.sample(list(NOUNS), chance.choice([1, 2, 2])))
        liked = [
            film for film in films if favourites & set(str(film["GENRES"]).split("|"))
        ]
        for _ in range(chance.randint(4, 24)):
            fits = chance.random() < 0.75
            film = chance.choice(liked if fits else films)
            event = chance.choice(
                ["click", "watch", "watch", "like"]
                if fits
                else ["click", "click", "watch", "dislike"]
            )
            interactions.append(
                {
                    "USER_ID": user["USER_ID"],
                    "ITEM_ID": film["ITEM_ID"],
                    "EVENT_TYPE": event,
                    "EVENT_VALUE": EVENTS[event],
                    "TIMESTAMP": END - chance.randrange(YEAR_SECONDS),
                }
            )
    return interactions


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_queries(path: Path, queries: Iterable[object]) -> None:
    """Write queries as JSON Lines."""
    text = "".join(f"{json.dumps(query)}\n" for query in queries)
    path.write_text(text, encoding="utf-8")


def _has_genre(genre: str) -> str:
    return f'ITEMS.GENRES = "{genre}"'


def main(folder: Path) -> None:
    """Write all files.

    Args:
        folder: Where to.
    """
    chance = random.Random(SEED)  # noqa: S311
    films, users = make_films(chance), make_users(chance)
    write_table(folder / "items.csv", films)
    write_table(folder / "users.csv", users)
    write_table(folder / "interactions.csv", make_interactions(chance, films, users))
    write_queries(
        folder / "item-queries.jsonl",
        ({"itemId": film["ITEM_ID"]} for film in films[:12]),
    )
    write_queries(
        folder / "genre-queries.jsonl",
        [
            *({"itemAttributes": _has_genre(genre)} for genre in NOUNS),
            {"itemAttributes": " AND ".join(map(_has_genre, ("Romance", "Thriller")))},
        ],
    )


if __name__ == "__main__":
    main(Path(__file__).parent)
