"""AWS CDK constructs for Amazon Personalize batch segment jobs."""
