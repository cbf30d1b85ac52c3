"""What is wrong with what is asked of metrics."""


class QueryError(ValueError):
    """A query is malformed, or asks for what is not there."""
