"""JSON texts, read as strictly as other systems than Python read them."""

import json

from cdk_personalize_segments.local.untyped import Json


def read_json(text: str | bytes) -> Json:
    """Read a JSON text.

    Python would take NaN, Infinity and numbers as large as 1e999, and characters that
    are halves of others and cannot be written down.

    Args:
        text: The text.

    Raises:
        ValueError: It is no JSON, or has such a value in it.
    """
    try:
        value: Json = json.loads(text)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value
