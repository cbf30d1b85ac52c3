"""The fixtures that the library offers to its users, for its own tests too."""

pytest_plugins = ["cdk_personalize_segments.local.pytest_plugin"]
