"""What Amazon Personalize allows, written down once.

Used at synth, in the Lambda tasks, on the command line and by the emulated
Personalize. Sources: the developer guide's page "Amazon Personalize endpoints
and quotas" and the service model of the AWS SDK.
"""

from typing import Final
from unicodedata import category

# Users per segment: the guide gives a default of 25 and a maximum of 5 million;
# the service model has no minimum.
DEFAULT_NUM_RESULTS: Final = 25
MIN_NUM_RESULTS: Final = 1
MAX_NUM_RESULTS: Final = 5_000_000

# The input of one job.
MAX_INPUT_FILES: Final = 1000
MAX_INPUT_BYTES: Final = 1_000_000_000
MAX_ITEM_ID_LENGTH: Final = 256

ITEM_AFFINITY: Final = "aws-item-affinity"
ITEM_ATTRIBUTE_AFFINITY: Final = "aws-item-attribute-affinity"
# The recipes of type USER_SEGMENTATION, and the queries that one input file may
# hold for each.
QUERIES_PER_FILE: Final = {ITEM_AFFINITY: 500, ITEM_ATTRIBUTE_AFFINITY: 10}

# Jobs pending or in progress per account and Region. Not adjustable.
MAX_ACTIVE_JOBS: Final = 5

MAX_NAME_LENGTH: Final = 63
NAME_PATTERN: Final = r"[a-zA-Z0-9][a-zA-Z0-9\-_]*"
MAX_ARN_LENGTH: Final = 256
MAX_S3_PATH_LENGTH: Final = 256

MAX_TAGS: Final = 50
MAX_TAG_KEY_LENGTH: Final = 128
MAX_TAG_VALUE_LENGTH: Final = 256
# Besides letters, digits and spaces of any script.
TAG_SYMBOLS: Final = "_.:/=+-@"

REGIONS: Final = frozenset(
    {
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "cn-north-1",
        "eu-central-1",
        "eu-west-1",
        "us-east-1",
        "us-east-2",
        "us-west-2",
    }
)

# Not limits of the service: what a user of a segment takes in the output, for planning
# how many queries go into one file; how much one file's output may be, for one function
# to account for it, and that of all files together.
BYTES_PER_USER: Final = 40
MAX_PART_OUTPUT_BYTES: Final = 1_000_000_000
MAX_OUTPUT_BYTES: Final = 1_000_000_000_000
# Nor these: how many query files, bytes in them (uncompressed) and lines with queries
# one run reads, so that all of them together take less than a third of its function's
# time; benchmarks/README.md has the arithmetic.
MAX_QUERY_FILES: Final = 5_000
MAX_QUERY_BYTES: Final = 1_000_000_000
MAX_LINES: Final = 1_000_000


def tag_problem(key: object, value: object) -> str | None:
    """Say what is wrong with a tag of a Personalize resource, or return None.

    The value is not repeated, since the service treats tags as sensitive.
    """
    if not isinstance(key, str) or not isinstance(value, str):
        return "keys and values must be strings"
    if not 1 <= len(key) <= MAX_TAG_KEY_LENGTH:
        return f"a key must have 1 to {MAX_TAG_KEY_LENGTH} characters, got {len(key)}"
    if len(value) > MAX_TAG_VALUE_LENGTH:
        return (
            f"a value must have at most {MAX_TAG_VALUE_LENGTH} characters, "
            f"got {len(value)} for the key {key!r}"
        )
    if key.lower().startswith("aws:"):
        return f"keys that start with 'aws:' are reserved, got {key!r}"
    for text in (key, value):
        for character in text:
            if character not in TAG_SYMBOLS and category(character)[0] not in "LZN":
                return (
                    f"the character {character!r} is not allowed (key {key!r}); "
                    f"use letters, digits, spaces and {TAG_SYMBOLS}"
                )
    return None


def num_results_problem(value: object) -> str | None:
    """Say what is wrong with a number of users per segment, or return None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be a whole number, got {value!r}"
    if not MIN_NUM_RESULTS <= value <= MAX_NUM_RESULTS:
        return f"must be {MIN_NUM_RESULTS} to {MAX_NUM_RESULTS:,}, got {value}"
    return None
