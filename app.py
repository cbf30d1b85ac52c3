"""An example app: one stack with one pipeline.

Context: `solution_arn` for the newest version of a solution at every run, or
`solution_version_arn` for just one.
"""

import aws_cdk as cdk

from cdk_personalize_segments import BatchSegmentPipeline, SolutionVersion

_EXAMPLE = "arn:aws:personalize:us-east-1:111122223333:solution/films"

app = cdk.App()
stack = cdk.Stack(app, app.node.try_get_context("stack") or "Segments")
version_arn = app.node.try_get_context("solution_version_arn")
BatchSegmentPipeline(
    stack,
    "Pipeline",
    solution_version=(
        SolutionVersion.from_arn(version_arn)
        if version_arn
        else SolutionVersion.latest_of(
            app.node.try_get_context("solution_arn") or _EXAMPLE
        )
    ),
)
app.synth()
