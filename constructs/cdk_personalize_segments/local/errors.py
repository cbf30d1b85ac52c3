"""What local AWS raises."""


class LocalAwsError(Exception):
    """Local AWS cannot start, or cannot do what it was asked to do.

    The message is one sentence that says what was wrong and what to do.
    """
