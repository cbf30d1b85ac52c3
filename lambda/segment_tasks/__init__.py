"""The Lambda tasks of a batch segment pipeline, and what they share."""
