"""AWS CDK constructs for Amazon Personalize batch segment jobs."""

from cdk_personalize_segments.pipeline import (
    BatchSegmentPipeline,
    ImportedBatchSegmentPipeline,
)
from cdk_personalize_segments.solution_version import SolutionVersion

__all__ = ["BatchSegmentPipeline", "ImportedBatchSegmentPipeline", "SolutionVersion"]
