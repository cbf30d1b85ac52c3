"""Every permission of a pipeline: who may do what, and why.

The parties are the service role that Personalize assumes, the Personalize service
principal in the bucket policies, one role for each function, and the role of the
state machine. Sources: the developer guide's pages "Giving Amazon Personalize
access to Amazon S3 resources" and "Cross-service confused deputy prevention", and
the Service Authorization Reference.
"""

import json
from collections.abc import Sequence
from typing import Final, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_personalize_segments import _validation
from cdk_personalize_segments._resolved import nag_text, readable
from cdk_personalize_segments._runtime import run_events
from cdk_personalize_segments.results_tables import ResultsTables
from cdk_personalize_segments.solution_version import SolutionVersion
from cdk_personalize_segments.storage import Storage

_PERSONALIZE: Final = "personalize.amazonaws.com"
# SNS asks for a data key to encrypt a message, in whichever of KMS's ways.
_DATA_KEYS: Final = "kms:GenerateDataKey*"
_DATA_KEYS_REASON: Final = (
    "The SNS guide asks for all of these of whoever publishes to an encrypted topic; "
    "the key is the topic's own."
)
_XRAY_REASON: Final = (
    "X-Ray has no resources to name: the Service Authorization Reference lists none "
    "for sending traces."
)


class Access:
    """The roles and resource policies of one pipeline."""

    def __init__(
        self,
        scope: Construct,
        *,
        storage: Storage,
        solution_version: SolutionVersion,
        allow_any_solution: bool,
        run_prefix: str,
        results_tables: ResultsTables | None,
        function_logs: logs.ILogGroup,
    ) -> None:
        """Define the service role and the statements in the bucket policies.

        Args:
            scope: The pipeline.
            storage: Its buckets and prefixes.
            solution_version: The model that its jobs use.
            allow_any_solution: Whether executions may name another solution.
            run_prefix: What the names of its jobs start with.
            results_tables: The tables of its results, if it has them.
            function_logs: The log group of its functions.
        """
        self._scope = scope
        self._stack = cdk.Stack.of(scope)
        self._storage = storage
        self._solution_version = solution_version
        self._allow_any_solution = allow_any_solution
        self._run_prefix = run_prefix
        self._results_tables = results_tables
        self._function_logs = function_logs
        self._task_policies: dict[str, iam.PolicyDocument] = {}
        self.service_role = self._define_service_role()
        self._grant_buckets_to_personalize()

    # --- Personalize ---

    def _define_service_role(self) -> iam.Role:
        """Define the role that Personalize assumes for a job.

        It reads the prepared input and writes the raw output, and nothing else.
        """
        role = iam.Role(
            self._scope,
            "ServiceRole",
            description="Lets Personalize read and write the data of segment jobs",
            # On the principal itself: a second, conditioned statement would leave
            # the first one open to every account's jobs.
            assumed_by=iam.ServicePrincipal(_PERSONALIZE).with_conditions(
                {
                    "StringEquals": {"aws:SourceAccount": self._stack.account},
                    "ArnLike": {"aws:SourceArn": self._personalize_arn("*")},
                }
            ),
            inline_policies={
                "JobData": iam.PolicyDocument(
                    statements=[
                        *self._job_input_statements(),
                        *self._job_output_statements(),
                    ]
                )
            },
        )
        objects = (
            (self._storage.input_bucket, self._storage.input_prefix),
            (self._storage.output_bucket, self._storage.output_prefix),
        )
        for bucket, prefix in objects:
            self._acknowledge_resource(
                role,
                bucket.arn_for_objects(f"{prefix}*"),
                "Names of objects differ from run to run; the folder is fixed.",
            )
        return role

    def _job_input_statements(self) -> list[iam.PolicyStatement]:
        bucket, prefix = self._storage.input_bucket, self._storage.input_prefix
        return [
            iam.PolicyStatement(
                sid="ReadJobInput",
                actions=["s3:GetObject"],
                resources=[bucket.arn_for_objects(f"{prefix}*")],
            ),
            _list_if_asked_for("ListJobInput", bucket, prefix),
        ]

    def _job_output_statements(self) -> list[iam.PolicyStatement]:
        bucket, prefix = self._storage.output_bucket, self._storage.output_prefix
        return [
            iam.PolicyStatement(
                sid="WriteJobOutput",
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects(f"{prefix}*")],
            ),
            _list_if_asked_for("ListJobOutput", bucket, prefix),
        ]

    def _grant_buckets_to_personalize(self) -> None:
        """Repeat the service role's statements in both bucket policies.

        Personalize needs both: the role's permission alone is not enough.
        """
        self._add_to_bucket_policy(
            "input_bucket", self._storage.input_bucket, self._job_input_statements()
        )
        self._add_to_bucket_policy(
            "output_bucket", self._storage.output_bucket, self._job_output_statements()
        )

    def _add_to_bucket_policy(
        self, name: str, bucket: s3.IBucket, statements: list[iam.PolicyStatement]
    ) -> None:
        for statement in statements:
            statement.add_service_principal(_PERSONALIZE)
            # Whether Personalize sends these keys with its S3 calls is not
            # documented: IfExists guards where it does, and works where it does not.
            statement.add_condition(
                "StringEqualsIfExists", {"aws:SourceAccount": self._stack.account}
            )
            statement.add_condition(
                "ArnLikeIfExists", {"aws:SourceArn": self._personalize_arn("*")}
            )
        added = [bucket.add_to_resource_policy(each) for each in statements]
        if not all(result.statement_added for result in added):
            self._warn_of_missing_bucket_policy(name, bucket, statements)

    def _warn_of_missing_bucket_policy(
        self, name: str, bucket: s3.IBucket, statements: list[iam.PolicyStatement]
    ) -> None:
        """Say what the owner of an imported bucket must add to its policy."""
        bucket_name = readable(self._stack.resolve(bucket.bucket_name), {})
        self._warn(
            f"{name.replace('_b', 'B')}PolicyNotManaged",
            f"{name} {bucket_name!r} is imported, so its policy is not changed here; "
            "jobs fail until its owner sees to S3-managed encryption and adds these "
            "statements to the bucket policy",
            statements,
        )

    def _warn(
        self, warning_id: str, message: str, statements: list[iam.PolicyStatement]
    ) -> None:
        """Warn, with the statements that somebody must add elsewhere."""
        resolved = self._stack.resolve([each.to_json() for each in statements])
        text = json.dumps(readable(resolved, self._known_values()), indent=2)
        cdk.Annotations.of(self._scope).add_warning_v2(
            f"cdk-personalize-segments:{warning_id}",
            f"{message} (with your values for anything like ${{AWS::AccountId}}):\n"
            f"{text}",
        )

    def _known_values(self) -> dict[str, str]:
        values = {
            "AWS::AccountId": self._stack.account,
            "AWS::Region": self._stack.region,
        }
        return {
            name: value
            for name, value in values.items()
            if not cdk.Token.is_unresolved(value)
        }

    # --- Functions ---

    def prepare_statements(self) -> list[iam.PolicyStatement]:
        """Read queries, write the job's input, look up solution and filter."""
        storage = self._storage
        return [
            _list(
                "ListQueriesAndInput",
                storage.input_bucket,
                storage.queries_prefix,
                storage.input_prefix,
            ),
            _list(
                # A run reads one version of each file, whatever is uploaded meanwhile.
                "ListVersionsOfQueries",
                storage.input_bucket,
                storage.queries_prefix,
                action="s3:ListBucketVersions",
            ),
            iam.PolicyStatement(
                sid="ReadQueries",
                actions=["s3:GetObject", "s3:GetObjectVersion"],
                resources=[
                    storage.input_bucket.arn_for_objects(f"{storage.queries_prefix}*")
                ],
            ),
            iam.PolicyStatement(
                # Delete: parts of an attempt that was cut short must not be read by
                # the job of the next one.
                sid="WriteJobInput",
                actions=[
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                    "s3:GetObject",
                    "s3:PutObject",
                ],
                resources=[
                    storage.input_bucket.arn_for_objects(f"{storage.input_prefix}*")
                ],
            ),
            self._write_results(),
            *self._look_up_statements(),
        ]

    def _look_up_statements(self) -> list[iam.PolicyStatement]:
        solution_arn = (
            self._personalize_arn("solution/*")
            if self._allow_any_solution
            else self._solution_version.solution_arn
        )
        statements = [
            iam.PolicyStatement(
                sid="LookUpSolutionVersion",
                actions=["personalize:DescribeSolutionVersion"],
                resources=[
                    solution_arn if self._allow_any_solution else f"{solution_arn}/*"
                ],
            ),
            iam.PolicyStatement(
                # Any filter: an execution may name one.
                sid="LookUpFilter",
                actions=["personalize:DescribeFilter"],
                resources=[self._personalize_arn("filter/*")],
            ),
        ]
        if self._solution_version.is_latest:
            statements += [
                iam.PolicyStatement(
                    sid="LookUpLatestVersion",
                    actions=["personalize:DescribeSolution"],
                    resources=[self._solution_version.solution_arn],
                ),
                iam.PolicyStatement(
                    # The Service Authorization Reference has no resource type for
                    # this action.
                    sid="ListSolutionVersions",
                    actions=["personalize:ListSolutionVersions"],
                    resources=["*"],
                ),
            ]
        return statements

    def create_job_statements(self) -> list[iam.PolicyStatement]:
        """Create, tag and look at the pipeline's own jobs."""
        return [
            iam.PolicyStatement(
                # Tags: an execution may bring some, even where the pipeline has none.
                sid="CreateOwnJobs",
                actions=[
                    "personalize:CreateBatchSegmentJob",
                    "personalize:DescribeBatchSegmentJob",
                    "personalize:TagResource",
                ],
                resources=[self._own_jobs()],
            ),
            iam.PolicyStatement(
                sid="PassServiceRole",
                actions=["iam:PassRole"],
                resources=[self.service_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": _PERSONALIZE}},
            ),
        ]

    def poll_job_statements(self) -> list[iam.PolicyStatement]:
        """Look at the pipeline's own jobs."""
        return [
            iam.PolicyStatement(
                sid="DescribeOwnJobs",
                actions=["personalize:DescribeBatchSegmentJob"],
                resources=[self._own_jobs()],
            )
        ]

    def collect_statements(self) -> list[iam.PolicyStatement]:
        """Read what was asked and the raw output, write results.

        Listing also lets S3 answer that something is missing, not that it is denied.
        """
        storage = self._storage
        return [
            iam.PolicyStatement(
                sid="ReadPreparedInput",
                actions=["s3:GetObject"],
                resources=[
                    storage.input_bucket.arn_for_objects(f"{storage.input_prefix}*")
                ],
            ),
            _list("ListPreparedInput", storage.input_bucket, storage.input_prefix),
            iam.PolicyStatement(
                sid="ReadJobOutput",
                actions=["s3:GetObject"],
                resources=[
                    storage.output_bucket.arn_for_objects(f"{storage.output_prefix}*")
                ],
            ),
            _list(
                "ListJobOutputAndResults",
                storage.output_bucket,
                storage.output_prefix,
                storage.results_prefix,
            ),
            iam.PolicyStatement(
                # How far an earlier call came.
                sid="ReadProgress",
                actions=["s3:GetObject"],
                resources=[
                    storage.output_bucket.arn_for_objects(
                        f"{storage.results_prefix}*/parts/*"
                    )
                ],
            ),
            iam.PolicyStatement(
                # Pieces of users that an attempt left which was cut short.
                sid="DeleteUsers",
                actions=["s3:DeleteObject"],
                resources=[
                    storage.output_bucket.arn_for_objects(
                        f"{storage.results_prefix}*/users/*"
                    )
                ],
            ),
            self._write_results(),
        ]

    def finish_statements(self) -> list[iam.PolicyStatement]:
        """Read the accounts of all parts, write the manifest, add to the tables."""
        storage = self._storage
        return [
            self._read_plans(),
            _list("ListPlans", storage.input_bucket, storage.input_prefix),
            iam.PolicyStatement(
                sid="ReadResults",
                actions=["s3:GetObject"],
                resources=[
                    storage.output_bucket.arn_for_objects(f"{storage.results_prefix}*")
                ],
            ),
            _list("ListResults", storage.output_bucket, storage.results_prefix),
            self._write_results(),
            *self._tables("AddRunToTables", "glue:CreatePartition", "glue:GetTable"),
        ]

    def start_run_statements(
        self, queue_arn: str, state_machine_arn: str
    ) -> list[iam.PolicyStatement]:
        """Take what the queue of uploads tells, start runs.

        Args:
            queue_arn: The queue that tells of uploads.
            state_machine_arn: The state machine of the pipeline.
        """
        return [
            iam.PolicyStatement(
                # The three that Lambda asks for, to poll the queue in its name.
                sid="TakeUploads",
                actions=[
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ],
                resources=[queue_arn],
            ),
            iam.PolicyStatement(
                sid="StartRuns",
                actions=["states:StartExecution"],
                resources=[state_machine_arn],
            ),
        ]

    def upload_queue_policy(self, rule_arn: str) -> iam.PolicyDocument:
        """Let a rule send to its queue and its dead letters, over TLS alone.

        A policy of a queue holds for that queue and no other, so it need not be named,
        and both queues can have this one.

        Args:
            rule_arn: The rule that tells of uploads.
        """
        return iam.PolicyDocument(
            # Whether statements are merged would be for the app's feature flags to say.
            minimize=False,
            statements=[
                iam.PolicyStatement(
                    sid="TellOfUploads",
                    actions=["sqs:SendMessage"],
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    resources=["*"],
                    conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
                ),
                iam.PolicyStatement(
                    sid="TlsOnly",
                    effect=iam.Effect.DENY,
                    actions=["sqs:*"],
                    principals=[iam.AnyPrincipal()],
                    resources=["*"],
                    conditions={"Bool": {"aws:SecureTransport": "false"}},
                ),
            ],
        )

    # --- Schedules ---

    def scheduler_role(
        self,
        scope: Construct,
        construct_id: str,
        *,
        group_arn: str,
        queue_arn: str,
        state_machine_arn: str,
    ) -> iam.Role:
        """Let the schedules of a group start runs, and leave what failed in a queue.

        Args:
            scope: Where the role is defined.
            construct_id: Its construct id.
            group_arn: The group of the schedules.
            queue_arn: The queue of starts that failed.
            state_machine_arn: The state machine of the pipeline.
        """
        return iam.Role(
            scope,
            construct_id,
            description=f"Lets schedules start runs of {self._run_prefix}",
            # The group, not its schedules, is what EventBridge Scheduler names.
            assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com").with_conditions(
                {
                    "StringEquals": {
                        "aws:SourceAccount": self._stack.account,
                        "aws:SourceArn": group_arn,
                    }
                }
            ),
            inline_policies={
                "Start": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="StartRuns",
                            actions=["states:StartExecution"],
                            resources=[state_machine_arn],
                        ),
                        iam.PolicyStatement(
                            sid="KeepFailedStarts",
                            actions=["sqs:SendMessage"],
                            resources=[queue_arn],
                        ),
                    ]
                )
            },
        )

    def let_list_executions(
        self,
        scope: Construct,
        construct_id: str,
        prepare: lambda_.Function,
        state_machine_arn: str,
    ) -> iam.Policy:
        """Let prepare see which runs are still going, for those that then skip.

        A policy of its own: the state machine needs the role that it is attached to.
        """
        return iam.Policy(
            scope,
            construct_id,
            roles=[cast("iam.IRole", prepare.role)],
            statements=[
                iam.PolicyStatement(
                    sid="ListRuns",
                    actions=["states:ListExecutions"],
                    resources=[state_machine_arn],
                )
            ],
        )

    # --- Notices and events ---

    def notify_statements(self, topic: sns.ITopic | None) -> list[iam.PolicyStatement]:
        """Read the manifests, put events of ends, publish to the topic.

        Listing also lets S3 answer that there is no manifest, not that it is denied.
        """
        storage = self._storage
        statements = [
            iam.PolicyStatement(
                sid="ReadManifests",
                actions=["s3:GetObject"],
                resources=[
                    storage.output_bucket.arn_for_objects(
                        f"{storage.results_prefix}*/manifest.json"
                    )
                ],
            ),
            _list("ListResults", storage.output_bucket, storage.results_prefix),
            self._put_events("PutEndsOfRuns", run_events.SUCCEEDED, run_events.FAILED),
        ]
        if topic is None:
            return statements
        statements.append(
            iam.PolicyStatement(
                sid="PublishNotices",
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
            )
        )
        if topic.master_key:
            statements.append(
                iam.PolicyStatement(
                    sid="UseTopicKey",
                    actions=["kms:Decrypt", _DATA_KEYS],
                    resources=[topic.master_key.key_arn],
                )
            )
        return statements

    def let_tell_of_queueing(self, create_job: lambda_.Function) -> None:
        """Let the function that creates jobs tell that a run is queued too long."""
        role = cast("iam.IRole", create_job.role)
        self._task_policies[role.node.path].add_statements(
            self._put_events("PutQueueing", run_events.QUEUED_TOO_LONG)
        )

    def _put_events(self, sid: str, *detail_types: str) -> iam.PolicyStatement:
        """Let events be put on the default bus: these, and in our name only."""
        return iam.PolicyStatement(
            sid=sid,
            actions=["events:PutEvents"],
            resources=[
                self._stack.format_arn(
                    service="events", resource="event-bus", resource_name="default"
                )
            ],
            conditions={
                "StringEquals": {
                    "events:source": run_events.SOURCE,
                    "events:detail-type": list(detail_types),
                }
            },
        )

    def warn_of_topic(self, topic: sns.ITopic, publisher: iam.IGrantable) -> None:
        """Say what others must add for a topic, where that cannot be done here.

        Args:
            topic: The topic.
            publisher: Who publishes to it.
        """
        shown = readable(self._stack.resolve(topic.topic_arn), self._known_values())
        principal = publisher.grant_principal
        publish = iam.PolicyStatement(
            sid="PublishNotices",
            principals=[principal],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
        )
        # In a key's policy, the resource is the key.
        use_key = iam.PolicyStatement(
            sid="UseTopicKey",
            principals=[principal],
            actions=["kms:Decrypt", _DATA_KEYS],
            resources=["*"],
        )
        if _validation.are_different(topic.env.account, self._stack.account):
            self._warn(
                "notificationTopicPolicyNotManaged",
                f"notification_topic {shown} is in another account, so its policy is "
                "not changed here; notices fail until its owner adds PublishNotices to "
                "the policy of the topic; if it is encrypted with a key, UseTopicKey "
                "to that of the key, whose ARN the topic must then be passed with (see "
                "sns.Topic.from_topic_attributes)",
                [publish, use_key],
            )
        elif _has_unknown_key(topic):
            self._warn(
                "notificationTopicKeyUnknown",
                f"whether a KMS key encrypts notification_topic {shown} is not known "
                "here; if one does, notices fail until the function may use it: pass "
                "the topic as sns.Topic.from_topic_attributes(scope, id, topic_arn=…, "
                "key_arn=…), or have this statement added to the key's policy",
                [use_key],
            )

    def _tables(self, sid: str, *actions: str) -> list[iam.PolicyStatement]:
        """Let something be done with the tables, if there are any."""
        if self._results_tables is None:
            return []
        resources = self._results_tables.resource_arns()
        return [
            iam.PolicyStatement(sid=sid, actions=list(actions), resources=resources)
        ]

    def _read_plans(self) -> iam.PolicyStatement:
        storage = self._storage
        return iam.PolicyStatement(
            sid="ReadPlans",
            actions=["s3:GetObject"],
            resources=[
                storage.input_bucket.arn_for_objects(f"{storage.input_prefix}*.plan/*")
            ],
        )

    def _write_results(self) -> iam.PolicyStatement:
        storage = self._storage
        return iam.PolicyStatement(
            sid="WriteResults",
            actions=["s3:AbortMultipartUpload", "s3:PutObject"],
            resources=[
                storage.output_bucket.arn_for_objects(f"{storage.results_prefix}*")
            ],
        )

    def function_role(
        self,
        scope: Construct,
        construct_id: str,
        task: str,
        statements: list[iam.PolicyStatement],
    ) -> iam.Role:
        """Define the role of one function.

        Args:
            scope: Where the role is defined.
            construct_id: The role's construct id.
            task: What the function does, for the description.
            statements: What it may do besides writing logs and traces.
        """
        policy = iam.PolicyDocument(statements=statements)
        role = iam.Role(
            scope,
            construct_id,
            description=f"Lets a Lambda function {task}",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={
                "Task": policy,
                "LogsAndTraces": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="WriteLogs",
                            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                            resources=[self._function_logs.log_group_arn],
                        ),
                        _write_traces(),
                    ]
                ),
            },
        )
        self._task_policies[role.node.path] = policy
        self._acknowledge(role, "AwsSolutions-IAM5[Resource::*]", _XRAY_REASON)
        self._acknowledge(role, "Serverless-LambdaStarPermissions", _XRAY_REASON)
        self._acknowledge_resource(
            role,
            self._function_logs.log_group_arn,
            "Lambda names the log streams; the log group is the pipeline's own.",
        )
        for statement in statements:
            for resource in statement.resources:
                if "*" in resource or cdk.Token.is_unresolved(resource):
                    self._acknowledge_resource(role, resource, _reason(statement))
            if _DATA_KEYS in statement.actions:
                self._acknowledge(
                    role, f"AwsSolutions-IAM5[Action::{_DATA_KEYS}]", _DATA_KEYS_REASON
                )
        return role

    # --- State machine ---

    def state_machine_role(self, function_arns: Sequence[str]) -> iam.IRole:
        """Define the role of the state machine.

        Args:
            function_arns: The unqualified ARNs of the functions that it calls. It may
                call every version of them: an execution that is running keeps its
                definition, which names older versions, but not the role's policy.

        Returns:
            The role, closed to further statements: the state machine would repeat
            those that stand here in a policy of its own.
        """
        role = iam.Role(
            self._scope,
            "StateMachineRole",
            description="Lets a state machine call the functions of its pipeline",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com").with_conditions(
                {
                    "StringEquals": {"aws:SourceAccount": self._stack.account},
                    "ArnLike": {
                        "aws:SourceArn": self._stack.format_arn(
                            service="states",
                            resource="stateMachine",
                            resource_name="*",
                            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                        )
                    },
                }
            ),
            inline_policies={
                "Tasks": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="CallFunctions",
                            actions=["lambda:InvokeFunction"],
                            resources=[f"{arn}:*" for arn in function_arns],
                        )
                    ]
                ),
                "LogsAndTraces": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            sid="DeliverLogs",
                            actions=[
                                "logs:CreateLogDelivery",
                                "logs:DeleteLogDelivery",
                                "logs:DescribeLogGroups",
                                "logs:DescribeResourcePolicies",
                                "logs:GetLogDelivery",
                                "logs:ListLogDeliveries",
                                "logs:PutResourcePolicy",
                                "logs:UpdateLogDelivery",
                            ],
                            resources=["*"],
                        ),
                        _write_traces(
                            "xray:GetSamplingRules", "xray:GetSamplingTargets"
                        ),
                    ]
                ),
            },
        )
        self._acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            "Log delivery and X-Ray have no resources to name: the Step Functions "
            "guide asks for '*' in both.",
        )
        for arn in function_arns:
            self._acknowledge_resource(
                role,
                f"{arn}:*",
                "Running executions keep calling the version that they started with.",
            )
        return role.without_policy_updates()

    # --- Names of resources ---

    def _personalize_arn(self, resource: str) -> str:
        return self._stack.format_arn(
            service="personalize",
            resource=resource,
            arn_format=cdk.ArnFormat.NO_RESOURCE_NAME,
        )

    def _own_jobs(self) -> str:
        return self._personalize_arn(f"batch-segment-job/{self._run_prefix}-*")

    # --- Findings of cdk-nag, each with its reason ---

    def _acknowledge(self, role: iam.Role, finding: str, reason: str) -> None:
        cdk.Validations.of(role).acknowledge(
            cdk.Acknowledgment(id=finding, reason=reason)
        )

    def _acknowledge_resource(self, role: iam.Role, arn: str, reason: str) -> None:
        resource = nag_text(self._stack.resolve(arn))
        if "*" in resource:
            self._acknowledge(role, f"AwsSolutions-IAM5[Resource::{resource}]", reason)


def _list(
    sid: str, bucket: s3.IBucket, *prefixes: str, action: str = "s3:ListBucket"
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        actions=[action],
        resources=[bucket.bucket_arn],
        conditions={"StringLike": {"s3:prefix": [f"{each}*" for each in prefixes]}},
    )


def _list_if_asked_for(
    sid: str, bucket: s3.IBucket, prefix: str
) -> iam.PolicyStatement:
    """Let Personalize list a folder.

    Which prefix it asks for, if any, is not documented: IfExists lets a request
    without one pass, and keeps the others to the folder.
    """
    return iam.PolicyStatement(
        sid=sid,
        actions=["s3:ListBucket"],
        resources=[bucket.bucket_arn],
        conditions={"StringLikeIfExists": {"s3:prefix": f"{prefix}*"}},
    )


def _has_unknown_key(topic: sns.ITopic) -> bool:
    """Tell whether a topic may have a key that nobody can be granted here.

    Those who may publish to a topic may use the key that AWS manages.
    """
    if topic.master_key:
        return False
    resource = topic.node.default_child
    if resource is None or not sns.CfnTopic.is_cfn_topic(resource):
        return True
    key = cast("sns.CfnTopic", resource).kms_master_key_id
    return key not in (None, "alias/aws/sns")


def _write_traces(*more: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="WriteTraces",
        actions=["xray:PutTelemetryRecords", "xray:PutTraceSegments", *more],
        resources=["*"],
    )


def _reason(statement: iam.PolicyStatement) -> str:
    action = statement.actions[0]
    if action.startswith("s3:"):
        return "Names of objects differ from run to run; the folder is fixed."
    if action == "personalize:ListSolutionVersions":
        return "The Service Authorization Reference has no resource type for it."
    if action == "personalize:DescribeFilter":
        return "An execution may name any filter of the account, and only reads it."
    if action == "personalize:DescribeSolutionVersion":
        return "Retraining makes versions that do not exist yet."
    return "Each run has a job of its own; their names share the pipeline's prefix."
