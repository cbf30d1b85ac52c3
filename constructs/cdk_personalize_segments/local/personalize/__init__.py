"""An emulated Amazon Personalize, for batch segment jobs."""

from cdk_personalize_segments.local.personalize.emulator import EmulatedPersonalize
from cdk_personalize_segments.local.personalize.errors import PersonalizeError
from cdk_personalize_segments.local.personalize.http import install
from cdk_personalize_segments.local.personalize.jobs import JobTiming

__all__ = ["EmulatedPersonalize", "JobTiming", "PersonalizeError", "install"]
