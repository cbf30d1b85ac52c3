"""The construct: puts the parts of a pipeline together."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_personalize_segments import _validation
from cdk_personalize_segments._runtime import arns, limits, locations
from cdk_personalize_segments.access import Access
from cdk_personalize_segments.alarms import Alarms, AlarmSeverity
from cdk_personalize_segments.dashboard import DEFAULT_INTERVAL, define_dashboard
from cdk_personalize_segments.functions import (
    FunctionFactory,
    define_functions,
    environment,
)
from cdk_personalize_segments.log_queries import LogQueries
from cdk_personalize_segments.metrics import ExecutionMetrics, RunMetrics
from cdk_personalize_segments.monitored import Monitored
from cdk_personalize_segments.notices import Notices, RunEvent
from cdk_personalize_segments.results_tables import ResultsTables
from cdk_personalize_segments.schedules import OnOverlap, Schedules
from cdk_personalize_segments.solution_version import SolutionVersion
from cdk_personalize_segments.storage import (
    Storage,
    define_bucket,
    input_lifecycle,
    output_lifecycle,
)
from cdk_personalize_segments.uploads import DEFAULT_WINDOW, Uploads
from cdk_personalize_segments.workflow import Workflow

_PREFIX_HASH_LENGTH: Final = 8


class _Pipeline(ExecutionMetrics, Construct):
    """What a pipeline of this app and one of another have in common."""

    _monitored: Monitored | None = None
    _alarms: Alarms | None = None

    @property
    def alarms(self) -> list[cloudwatch.Alarm]:
        """The alarms that `add_alarms` has defined so far."""
        return list(self._alarms.all) if self._alarms else []

    @property
    def state_machine(self) -> sfn.IStateMachine:
        """The state machine; each of its executions is a run."""
        return self._state_machine

    def grant_start_execution(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal start runs.

        Args:
            grantee: Who may.
        """
        return self._state_machine.grant_start_execution(grantee)


class ImportedBatchSegmentPipeline(_Pipeline):
    """A pipeline of another stack or app: something to start and to measure."""

    def __init__(
        self, scope: Construct, construct_id: str, *, state_machine_arn: str
    ) -> None:
        """Use `BatchSegmentPipeline.from_state_machine_arn` instead."""
        super().__init__(scope, construct_id)
        self._state_machine = sfn.StateMachine.from_state_machine_arn(
            self, "StateMachine", state_machine_arn
        )


class BatchSegmentPipeline(RunMetrics, _Pipeline):
    """Turns query files into user segments with Amazon Personalize.

    Defines two buckets, the role that Personalize assumes, five Lambda functions and
    a state machine. Each execution of the state machine is a run: it checks the
    query files, creates one batch segment job, waits for it and accounts for every
    query. The input of an execution may be empty; docs of the contract: README.

    Examples:
        >>> import aws_cdk as cdk
        >>> stack = cdk.Stack(cdk.App(), "Films")
        >>> pipeline = BatchSegmentPipeline(
        ...     stack,
        ...     "Segments",
        ...     solution_version=SolutionVersion.latest_of(
        ...         "arn:aws:personalize:us-east-1:111122223333:solution/films"
        ...     ),
        ... )
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        solution_version: SolutionVersion,
        num_results: int = limits.DEFAULT_NUM_RESULTS,
        filter_arn: str | None = None,
        job_tags: Mapping[str, str] | None = None,
        input_bucket: s3.IBucket | None = None,
        queries_prefix: str = "queries/",
        input_prefix: str = "input/",
        output_bucket: s3.IBucket | None = None,
        output_prefix: str = "output/",
        results_prefix: str = "results/",
        poll_interval: cdk.Duration | None = None,
        queue_timeout: cdk.Duration | None = None,
        job_timeout: cdk.Duration | None = None,
        max_failed_queries: int | None = None,
        skip_invalid_lines: bool = False,
        results_table: bool = False,
        allow_any_solution: bool = False,
        schedule: scheduler.ScheduleExpression | None = None,
        start_on_upload: bool = False,
        upload_suffixes: Sequence[str] | None = None,
        upload_window: cdk.Duration | None = None,
        notification_topic: sns.ITopic | None = None,
        output_expiration: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        architecture: lambda_.Architecture | None = None,
    ) -> None:
        """Define a pipeline.

        Args:
            scope: Where it is defined.
            construct_id: Its construct id.
            solution_version: The trained model, of a USER_SEGMENTATION recipe.
            num_results: Users per segment, 1 to 5,000,000. An execution may ask for
                another number. Default: 25.
            filter_arn: The ARN of a filter for every query. Where its expression has
                placeholders, every line needs their `filterValues`. An execution may
                name another one. Default: all users are eligible.
            job_tags: Tags of each Personalize job, at most 50; an execution may add
                some. They show in the execution's definition. Default: no tags.
            input_bucket: The bucket with the query files. Its policy must let
                Personalize read the input prefix, which is only done for a bucket
                that is defined in the app; for others a warning lists what to add.
                Default: a private, versioned bucket is defined.
            queries_prefix: The folder where users put query files. Default: `queries/`.
            input_prefix: The folder for what jobs read; kept for 30 days in a bucket
                that is defined here. Default: `input/`.
            output_bucket: The bucket for outputs and results, with the same rule.
                Default: a private, versioned bucket is defined.
            output_prefix: The folder that jobs write to. Default: `output/`.
            results_prefix: The folder of finished results. Default: `results/`.
            poll_interval: How often to look at a job; its end is noticed at most this
                much later. At least 10 seconds. Default: 5 minutes.
            queue_timeout: How long a run waits for one of the 5 job slots that an
                account has in a Region. At least 1 minute. Default: 24 hours.
            job_timeout: How long a job may take. Default: 24 hours.
            max_failed_queries: A run with more failed queries than this fails, after
                all its results are saved. Default: failed queries are reported and
                do not fail the run.
            skip_invalid_lines: Whether a run goes on without the lines of query files
                that cannot be used, and says in manifest and output how many those
                are. Default: one such line refuses the run; all are listed.
            results_table: Whether the results of all runs are tables, too, in a
                database of the Glue Data Catalog that `results_database_name` names:
                `queries` and `users`, partitioned by `run`, for Athena, Redshift
                Spectrum and others. Those read no user ids with line breaks, and
                lose the character U+0001 of an id. Runs from before are not in the
                tables. Where Lake Formation governs the catalogue, it must let the
                function Finish add partitions. Default: files only.
            allow_any_solution: Whether an execution may name a version of another
                solution; the permission to look solutions up follows it.
                Default: only versions of the solution given here.
            schedule: When runs over all query files start by themselves, such as
                `ScheduleExpression.cron(hour="3", minute="0")` of
                `aws_cdk.aws_scheduler`; `add_schedule` has more to say, and adds
                further ones. Default: nothing starts by itself.
            start_on_upload: Whether files that are uploaded beneath the queries prefix
                start a run over just these files, each version of a file in one run.
                A bucket that is only imported must send its events to EventBridge,
                which a warning says. Default: nothing starts by itself.
            upload_suffixes: How the names of files that start a run end, like
                `.jsonl`. Default: files of any name do.
            upload_window: How long after an upload further ones are waited for, to
                come into the same run; 1 second to 5 minutes. Default: 5 minutes.
            notification_topic: Where people are told, in a short message, how each
                run ended, or that it has waited for a job slot for half of
                `queue_timeout`; a standard topic of this Region. Default: nobody is.
            output_expiration: When outputs and results expire, in a bucket that is
                defined here; whole days, 1 or more. Default: they are kept.
            removal_policy: What becomes of the buckets defined here when they leave
                the stack. With DESTROY they must be empty. Default: RETAIN.
            log_retention: How long logs are kept; the log groups go with the stack.
                Default: 3 months.
            architecture: The processor of the functions, for Regions that lack the
                default. Default: arm64.

        Raises:
            TypeError: A value is of another type than its property.
            ValueError: A value is not allowed. Either message says which one, what is
                allowed, and what to change.
        """
        _validation.check_type(
            "solution_version",
            solution_version,
            SolutionVersion,
            "a SolutionVersion, like SolutionVersion.latest_of(solution_arn)",
        )
        for name, flag in (
            ("skip_invalid_lines", skip_invalid_lines),
            ("results_table", results_table),
            ("allow_any_solution", allow_any_solution),
            ("start_on_upload", start_on_upload),
        ):
            _validation.check_type(name, flag, bool, "True or False")
        for name, bucket in (
            ("input_bucket", input_bucket),
            ("output_bucket", output_bucket),
        ):
            if bucket is not None:
                _validation.check_bucket_type(name, bucket)
        for name, prefix in (
            ("queries_prefix", queries_prefix),
            ("input_prefix", input_prefix),
            ("output_prefix", output_prefix),
            ("results_prefix", results_prefix),
        ):
            _validation.check_prefix(name, prefix)
        _validation.check_expiration(output_expiration, output_bucket)
        _validation.check_uploads(
            upload_suffixes, upload_window, start_on_upload=start_on_upload
        )
        _validation.check_num_results(num_results)
        _validation.check_job_tags(job_tags or {})
        _validation.check_max_failed_queries(max_failed_queries)
        if filter_arn is not None:
            _validation.check_arn("filter_arn", filter_arn, arns.FILTER)
        poll_interval = poll_interval or cdk.Duration.minutes(5)
        queue_timeout = queue_timeout or cdk.Duration.hours(24)
        job_timeout = job_timeout or cdk.Duration.hours(24)
        _validation.check_times(poll_interval, queue_timeout, job_timeout)

        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        if notification_topic is not None:
            _validation.check_topic(notification_topic, stack)
        _validation.check_arn_place(
            "solution_version", solution_version.solution_arn, stack
        )
        if filter_arn is not None:
            _validation.check_arn_place("filter_arn", filter_arn, stack)
        run_prefix = _run_prefix(self)
        storage = Storage(
            input_bucket=input_bucket
            or define_bucket(
                self,
                "InputBucket",
                lifecycle_rules=input_lifecycle(input_prefix),
                removal_policy=removal_policy,
            ),
            queries_prefix=queries_prefix,
            input_prefix=input_prefix,
            output_bucket=output_bucket
            or define_bucket(
                self,
                "OutputBucket",
                lifecycle_rules=output_lifecycle(
                    output_expiration, output_prefix, results_prefix
                ),
                removal_policy=removal_policy,
            ),
            output_prefix=output_prefix,
            results_prefix=results_prefix,
        )
        storage.check(self, run_prefix)
        _warn_of_region(self)

        function_logs = logs.LogGroup(
            self,
            "FunctionLogs",
            retention=log_retention,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        results_tables = (
            ResultsTables(self, "ResultsTables", storage=storage, run_prefix=run_prefix)
            if results_table
            else None
        )
        access = Access(
            self,
            storage=storage,
            solution_version=solution_version,
            allow_any_solution=allow_any_solution,
            run_prefix=run_prefix,
            results_tables=results_tables,
            function_logs=function_logs,
        )
        factory = FunctionFactory(
            access=access,
            environment=environment(
                access=access,
                storage=storage,
                run_prefix=run_prefix,
                results_tables=results_tables,
                start_on_upload=start_on_upload,
            ),
            log_group=function_logs,
            architecture=architecture or lambda_.Architecture.ARM_64,
        )
        functions = define_functions(
            self, factory, access=access, results_tables=results_tables
        )
        workflow = Workflow(
            Construct(self, "Workflow"),
            functions,
            defaults={
                "solutionVersionArn": solution_version.solution_version_arn,
                "solutionArn": (
                    solution_version.solution_arn
                    if solution_version.is_latest
                    else None
                ),
                "numResults": num_results,
                "filterArn": filter_arn,
                "tags": dict(job_tags or {}),
                "allowAnySolution": allow_any_solution,
                "skipInvalidLines": skip_invalid_lines,
            },
            poll_interval=poll_interval,
            queue_timeout=queue_timeout,
            job_timeout=job_timeout,
            max_failed_queries=max_failed_queries,
        )
        self._log_group = _define_state_machine_logs(self, run_prefix, log_retention)
        self._state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            comment="Turns query files into user segments with Amazon Personalize",
            definition_body=sfn.DefinitionBody.from_chainable(workflow.define()),
            query_language=sfn.QueryLanguage.JSONATA,
            role=access.state_machine_role(
                [each.function_arn for each in functions.all()]
            ),
            timeout=workflow.timeout,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self._log_group,
                # Tags may be in the input of an execution.
                include_execution_data=False,
                level=sfn.LogLevel.ALL,
            ),
        )
        self._storage = storage
        self._results_tables = results_tables
        self._access = access
        self._functions = functions
        self._dead_letter_queues: dict[str, sqs.IQueue] = {}
        self._monitored: Monitored = Monitored(
            name=self.node.path,
            run_prefix=run_prefix,
            state_machine=self._state_machine,
            functions=factory.defined,
            function_logs=function_logs,
            state_machine_logs=self._log_group,
            queue_timeout=queue_timeout,
            results_bucket_name=storage.output_bucket.bucket_name,
            results_prefix=results_prefix,
            dead_letter_queues=self._dead_letter_queues,
        )
        self._uploads = (
            Uploads(
                self,
                "Upload",
                factory=factory,
                access=access,
                storage=storage,
                state_machine=self._state_machine,
                suffixes=upload_suffixes,
                window=upload_window or DEFAULT_WINDOW,
            )
            if start_on_upload
            else None
        )
        if self._uploads:
            self._watch_dead_letters("Uploads", self._uploads.dead_letter_queue)
        self._job_tags = dict(job_tags or {})
        self._own_solution_arn = (
            None if allow_any_solution else solution_version.solution_arn
        )
        self._schedules: Schedules | None = None
        self._factory = factory
        self._notification_topic = notification_topic
        self._notices: Notices | None = None
        if notification_topic is not None:
            self._ensure_notices()
        if schedule is not None:
            self.add_schedule("Schedule", schedule)
        cdk.CfnOutput(
            self,
            "StateMachineArn",
            description=(
                "cdk-personalize-segments: the state machine of the pipeline "
                f"{self.node.path}"
            ),
            value=self._state_machine.state_machine_arn,
        )

    @staticmethod
    def from_state_machine_arn(
        scope: Construct, construct_id: str, state_machine_arn: str
    ) -> ImportedBatchSegmentPipeline:
        """Refer to a pipeline of another stack or app.

        Args:
            scope: Where it is referred to.
            construct_id: The construct id of the reference.
            state_machine_arn: The ARN of the pipeline's state machine, or a token.

        Raises:
            ValueError: It is the ARN of something else.
        """
        if not _validation.is_token(state_machine_arn) and not re.fullmatch(
            r"arn:[a-z\d-]+:states:[a-z\d-]+:\d{12}:stateMachine:[^:]+",
            state_machine_arn,
        ):
            raise ValueError(
                "state_machine_arn must be the ARN of a state machine, like "
                "arn:aws:states:REGION:ACCOUNT:stateMachine:NAME, got "
                f"{state_machine_arn!r}"
            )
        return ImportedBatchSegmentPipeline(
            scope, construct_id, state_machine_arn=state_machine_arn
        )

    @property
    def input_bucket(self) -> s3.IBucket:
        """The bucket with the query files."""
        return self._storage.input_bucket

    @property
    def output_bucket(self) -> s3.IBucket:
        """The bucket with the results."""
        return self._storage.output_bucket

    @property
    def results_database_name(self) -> str | None:
        """The Glue database of the tables `queries` and `users`, if there is one."""
        tables = self._results_tables
        return tables.database_name if tables else None

    @property
    def service_role(self) -> iam.Role:
        """The role that Personalize assumes for the pipeline's jobs."""
        return self._access.service_role

    @property
    def functions(self) -> list[lambda_.Function]:
        """The Lambda functions, in the order of a run."""
        return self._functions.all()

    @property
    def log_group(self) -> logs.ILogGroup:
        """The log group of the state machine."""
        return self._log_group

    def on_event(
        self, construct_id: str, *, event: RunEvent, target: events.IRuleTarget
    ) -> events.Rule:
        """Have something happen whenever a run succeeds, fails or waits too long.

        It gets an event of the account's default event bus, once or, rarely, twice;
        docs/guide/notices.md says what is in it.

        Args:
            construct_id: The construct id of the rule that is defined.
            event: At which event.
            target: What is to happen, such as a queue of `aws_events_targets`.

        Raises:
            TypeError: The event is none.
        """
        _validation.check_type(
            "event", event, RunEvent, "one of RunEvent, like RunEvent.FAILED"
        )
        return self._ensure_notices().on_event(construct_id, event, target)

    def add_schedule(
        self,
        construct_id: str,
        expression: scheduler.ScheduleExpression,
        *,
        time_zone: cdk.TimeZone | None = None,
        input: Mapping[str, Any] | None = None,
        flexible_window: cdk.Duration | None = None,
        enabled: bool = True,
        on_overlap: OnOverlap = OnOverlap.RUN,
    ) -> scheduler.CfnSchedule:
        """Start runs by EventBridge Scheduler, at a time or again and again.

        A start that fails is tried again for an hour, and then kept in a dead-letter
        queue. EventBridge Scheduler may, rarely, start a run twice.

        Args:
            construct_id: The construct id of the schedule.
            expression: When, such as `ScheduleExpression.cron(hour="3", minute="0")`
                of `aws_cdk.aws_scheduler`.
            time_zone: Where it is that time, with daylight saving time, such as
                `TimeZone.of("Europe/Berlin")`. Default: that of the expression, which
                is UTC unless it was given one.
            input: The execution input of the runs, with all that the README's table
                of settings has but `resume`, `files` and `onOverlap`. It may hold
                tokens, which are checked in the run. Default: `{}`, a run over all
                query files.
            flexible_window: Within how much time from then on EventBridge Scheduler
                picks a moment: 1 minute to 24 hours, in whole minutes. Default: then.
            enabled: Whether it starts anything. Default: True.
            on_overlap: What to do when an older run of the pipeline, of whatever
                origin, is still going. SKIP lets the function Prepare list the
                executions of the state machine. Default: RUN both.

        Raises:
            TypeError: A value is of another type than its argument.
            ValueError: A value is not allowed, of the input by the rules of a run.

        Examples:
            >>> import aws_cdk as cdk
            >>> from aws_cdk import aws_scheduler as scheduler
            >>> stack = cdk.Stack(cdk.App(), "Films")
            >>> pipeline = BatchSegmentPipeline(
            ...     stack,
            ...     "Segments",
            ...     solution_version=SolutionVersion.latest_of(
            ...         "arn:aws:personalize:us-east-1:111122223333:solution/films"
            ...     ),
            ... )
            >>> nightly = pipeline.add_schedule(
            ...     "Nightly",
            ...     scheduler.ScheduleExpression.cron(hour="3", minute="0"),
            ...     time_zone=cdk.TimeZone.of("Europe/Berlin"),
            ...     input={"queries": "nightly", "numResults": 1000},
            ...     on_overlap=OnOverlap.SKIP,
            ... )
            >>> nightly.schedule_expression
            'cron(0 3 * * ? *)'
        """
        if self._schedules is None:
            self._schedules = Schedules(
                self,
                "Schedules",
                access=self._access,
                prepare=self._functions.prepare,
                state_machine=self._state_machine,
                run_prefix=self._monitored.run_prefix,
                job_tags=self._job_tags,
                solution_arn=self._own_solution_arn,
            )
            self._watch_dead_letters("Schedules", self._schedules.dead_letter_queue)
        return self._schedules.add(
            construct_id,
            expression,
            time_zone=time_zone,
            given=input,
            flexible_window=flexible_window,
            enabled=enabled,
            on_overlap=on_overlap,
        )

    def _ensure_notices(self) -> Notices:
        """Define what tells of runs, where somebody asks for it first."""
        if self._notices is None:
            self._notices = Notices(
                self,
                "Notices",
                factory=self._factory,
                access=self._access,
                create_job=self._functions.create_job,
                state_machine_arn=self._state_machine.state_machine_arn,
                run_prefix=self._monitored.run_prefix,
                topic=self._notification_topic,
            )
            self._watch_notices()
        return self._notices

    def add_alarms(
        self,
        *,
        action: cloudwatch.IAlarmAction
        | Mapping[AlarmSeverity, cloudwatch.IAlarmAction]
        | None = None,
        ok_action: cloudwatch.IAlarmAction
        | Mapping[AlarmSeverity, cloudwatch.IAlarmAction]
        | None = None,
        failed_runs: Mapping[AlarmSeverity, int] | None = None,
        timed_out_runs: Mapping[AlarmSeverity, int] | None = None,
        aborted_runs: Mapping[AlarmSeverity, int] | None = None,
        throttled_transitions: Mapping[AlarmSeverity, int] | None = None,
        failed_queries: Mapping[AlarmSeverity, int] | None = None,
        function_errors: Mapping[AlarmSeverity, int] | None = None,
        dead_letters: Mapping[AlarmSeverity, int] | None = None,
        lost_notices: Mapping[AlarmSeverity, int] | None = None,
        queued_too_long: Mapping[AlarmSeverity, cdk.Duration] | None = None,
        no_success_within: Mapping[AlarmSeverity, cdk.Duration] | None = None,
        within: cdk.Duration | None = None,
        runbook_url: str | None = None,
    ) -> None:
        """Define alarms: one for each severity of what is watched.

        What is watched has its thresholds by severity; an empty mapping switches it
        off. Of queues and functions that are added to the pipeline later, the alarms
        are defined as well.

        Args:
            action: What happens at an alarm, or for alarms of which severity what,
                such as an `SnsAction`. Default: alarms only show.
            ok_action: What happens when an alarm is over, in the same way.
                Default: nothing.
            failed_runs: From how many failed runs on. Default: CRITICAL from 1.
            timed_out_runs: From how many runs on that the state machine's own time-out
                ended. Default: CRITICAL from 1.
            aborted_runs: From how many aborted runs on. Default: WARNING from 1.
            throttled_transitions: From how many throttled state transitions on.
                Default: WARNING from 1.
            failed_queries: From how many queries on that the service answered with an
                error. Default: WARNING from 1.
            function_errors: From how many failing calls of the pipeline's functions
                on, within 15 minutes; they are repeated. Default: WARNING from 3.
            dead_letters: From how many messages in a dead-letter queue on, if the
                pipeline has one. Default: CRITICAL from 1.
            lost_notices: From how many notices and events of runs on that could not be
                told within 5 minutes, if the pipeline has some. Default: WARNING
                from 1.
            queued_too_long: How long a run waits for a job slot.
                Default: WARNING at half of `queue_timeout`.
            no_success_within: For how long no run has succeeded, which shows that a
                schedule has stopped; whole hours, up to 7 days. A pipeline that has
                not run yet is in alarm. Default: no such alarm.
            within: In which time runs, state transitions and queries are counted,
                from 1 minute to 1 day. Default: 5 minutes.
            runbook_url: The page that says what to do, to which each alarm adds an
                anchor, such as `#failed-runs`. Default: the alarms name
                docs/guide/monitoring.md.

        Raises:
            TypeError: A value is of another type than its property.
            ValueError: A value is not allowed, or the alarms are there already.
        """
        self._check_once("add_alarms", "Alarms")
        self._alarms = Alarms(
            self,
            "Alarms",
            monitored=self._monitored,
            action=action,
            ok_action=ok_action,
            counts={
                "failed_runs": failed_runs,
                "timed_out_runs": timed_out_runs,
                "aborted_runs": aborted_runs,
                "throttled_transitions": throttled_transitions,
                "failed_queries": failed_queries,
                "function_errors": function_errors,
                "dead_letters": dead_letters,
                "lost_notices": lost_notices,
            },
            within=within,
            queued_too_long=queued_too_long,
            no_success_within=no_success_within,
            runbook_url=runbook_url,
        )
        self._watch_notices()

    def add_dashboard(
        self, *, default_interval: cdk.Duration | None = None
    ) -> cloudwatch.Dashboard:
        """Define a dashboard: what runs, last results, failures, time, cost drivers.

        It shows the pipeline's alarms, too, also if they are defined later. Each look
        at it runs queries of the logs, which CloudWatch charges for by the data that
        they read. For many pipelines there is `BatchSegmentDashboard`.

        Args:
            default_interval: Which time is shown at first. Default: 7 days.

        Returns:
            The dashboard, to which widgets can be added.

        Raises:
            ValueError: There is a dashboard already.
        """
        self._check_once("add_dashboard", "Dashboard")
        return define_dashboard(
            self,
            "Dashboard",
            monitored=self._monitored,
            alarms=lambda: self.alarms,
            default_interval=default_interval or DEFAULT_INTERVAL,
        )

    def add_log_queries(self) -> None:
        """Save queries of the logs, for the console of CloudWatch Logs Insights.

        They are in the folder `PersonalizeSegments`, one resource each: all about one
        run, what runs now, last results, failures, errors by name, slowest runs, and
        more that docs/guide/monitoring.md lists. Saved queries cost nothing.

        Raises:
            ValueError: They are saved already.
        """
        self._check_once("add_log_queries", "LogQueries")
        LogQueries(self, "LogQueries", monitored=self._monitored)

    def _check_once(self, method: str, made: str) -> None:
        if self.node.try_find_child(made):
            raise ValueError(
                f"{method} was called for the pipeline {self.node.path} before; call "
                "it once, with all that is wanted"
            )

    def _watch_notices(self) -> None:
        """Have notices watched, whether alarms come before or after them."""
        if self._alarms and self._notices:
            self._alarms.watch_notices(self._notices.function, self._notices.rule)

    def _watch_dead_letters(self, of: str, queue: sqs.IQueue) -> None:
        """Have a dead-letter queue watched, whether alarms come before or after it.

        Args:
            of: What fills it, in the plural: `Schedules` or `Uploads`.
            queue: The queue.
        """
        self._dead_letter_queues[of] = queue
        if self._alarms:
            self._alarms.watch_dead_letters(of, queue)

    def grant_put_queries(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal put query files under the queries prefix.

        Args:
            grantee: Who may.
        """
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:AbortMultipartUpload", "s3:PutObject"],
            resource_arns=[
                self.input_bucket.arn_for_objects(f"{self._storage.queries_prefix}*")
            ],
        )

    def grant_read_results(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal list and read finished results, not the raw output.

        With `results_table`, that includes the definitions of the tables.

        Args:
            grantee: Who may.
        """
        prefix = self._storage.results_prefix
        read = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:GetObject"],
            resource_arns=[self.output_bucket.arn_for_objects(f"{prefix}*")],
        )
        read = read.combine(
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=["s3:ListBucket"],
                resource_arns=[self.output_bucket.bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{prefix}*"}},
            )
        )
        if self._results_tables:
            read = read.combine(self._results_tables.grant_read(grantee))
        return read


def _run_prefix(scope: Construct) -> str:
    """Name what the jobs of a pipeline have in common, in a readable way.

    A stack's name is unique in its account and Region, and the path in the stack
    within it: so is the hash of both, and it outlives a deletion of the stack.
    """
    stack = cdk.Stack.of(scope)
    while stack.nested_stack_parent:
        stack = stack.nested_stack_parent
    path = scope.node.path.removeprefix(stack.node.path).strip("/")
    digest = hashlib.sha256(f"{stack.stack_name}/{path}".encode()).hexdigest()
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", f"{stack.stack_name}-{path}").strip("-")
    room = locations.MAX_RUN_PREFIX_LENGTH - _PREFIX_HASH_LENGTH - 1
    return f"{readable[:room].rstrip('-')}-{digest[:_PREFIX_HASH_LENGTH]}"


def _define_state_machine_logs(
    scope: Construct, run_prefix: str, retention: logs.RetentionDays
) -> logs.LogGroup:
    """Define the state machine's log group.

    Log groups of another name than `/aws/vendedlogs/` each take room in the account's
    policy for log delivery, which is full after some 35 machines. The part of the
    stack's id lets a stack be deployed again while a log group of its former self
    is still there.
    """
    stack_uuid = cdk.Fn.select(2, cdk.Fn.split("/", cdk.Aws.STACK_ID))
    return logs.LogGroup(
        scope,
        "StateMachineLogs",
        log_group_name=f"/aws/vendedlogs/states/{run_prefix}-{stack_uuid}",
        retention=retention,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


def _warn_of_region(scope: Construct) -> None:
    region = cdk.Stack.of(scope).region
    if _validation.is_token(region) or region in limits.REGIONS:
        return
    cdk.Annotations.of(scope).add_warning_v2(
        "cdk-personalize-segments:regionWithoutPersonalize",
        f"Personalize was not offered in {region} when this library was released; "
        f"it was in {', '.join(sorted(limits.REGIONS))}",
    )
