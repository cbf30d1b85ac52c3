"""One local AWS: a moto server in this process, with every bridge in place."""

import atexit
import itertools
import os
import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from cdk_personalize_segments._runtime import limits
from cdk_personalize_segments.local import patching
from cdk_personalize_segments.local.cdk_cli import CdkCli
from cdk_personalize_segments.local.clock import Clock
from cdk_personalize_segments.local.environment import (
    aws_environment,
    process_environment,
)
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.executions import Execution, run_to_end
from cdk_personalize_segments.local.pipelines import segments, upload
from cdk_personalize_segments.local.untyped import Client

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from cdk_personalize_segments.local.cloudwatch.metrics import Metrics
    from cdk_personalize_segments.local.events import Events
    from cdk_personalize_segments.local.messaging import Message, Topics
    from cdk_personalize_segments.local.personalize import EmulatedPersonalize
    from cdk_personalize_segments.local.sessions import Sessions

    Middleware = Callable[[WSGIApplication], WSGIApplication]

ACCOUNT_ID: Final = "123456789012"
# botocore's names: option in a file, environment variable, default, conversion.
_NO_SETTINGS: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
_NOT_RUNNING: Final = "this local AWS is not running; start it first"

_started: "LocalAws | None" = None


class LocalAws:
    """An AWS account on this machine, empty at start and gone at the end.

    ```python
    with LocalAws() as aws:
        outputs = aws.deploy("Segments", app="python app.py")
        [machine] = outputs["Segments"].values()
        execution = aws.run(machine, queries=[{"itemId": "1"}])
        print(aws.segments(execution))
    ```

    It serves at `endpoint_url`, so that the AWS CLI, any SDK and the CDK CLI work
    against it with `environment`. Nothing here ever calls real AWS. There can be one
    at a time in a process.

    Virtual time is AWS's, not the functions': `time.time()` in a handler is the real
    time. Handlers that need the account's time take it from their event, as from
    `$now()` or `$states.context`.

    Functions run in processes of their own, as close to Lambda as it gets. With
    `in_process` they run in threads of this process instead, which start many times
    quicker and answer, fail and log alike: with their own environment, credentials,
    modules, globals and log, warm as long as they are kept. Threads cannot do all that
    processes can:

    - Their memory is not limited, and one that is too slow cannot be killed: its caller
      gets the time-out in time, and the thread ends at its next step in Python.
    - What acts on a whole process is refused by name: `os._exit`, `os.kill`,
      `os.chdir`, `signal.signal`, starting processes. The current folder is this
      process's.
    - The standard library and the SDK are shared, so what a function changes inside
      their modules, warning filters included, it changes for all.
      Extension modules that load once in a process load in one function only.

    Attributes:
        in_process: Whether functions run in threads of this process; it may be changed
            at any time, and counts from the next invocation.
        region: The Region that clients and deployments use.
        account_id: The account, 123456789012.
        clock: The virtual clock, once started.
        events: What tests can do to events, once started.
        metrics: What is measured, and the log lines whose metrics were refused, once
            started.
        personalize: The emulated Personalize, once started.
        topics: The topics and what was sent to addresses, once started.
        sessions: The credentials that functions were given, once started.
    """

    clock: Clock
    events: "Events"
    metrics: "Metrics"
    personalize: "EmulatedPersonalize"
    topics: "Topics"
    sessions: "Sessions"

    def __init__(
        self,
        region: str = "us-east-1",
        speed: float | None = None,
        port: int = 0,
        *,
        begins: datetime | None = None,
        seed: int = 0,
        in_process: bool = False,
    ) -> None:
        """Describe an account; `start`, or `with`, brings it up.

        Args:
            region: The Region that clients and deployments use.
            speed: Virtual seconds per real second, or None to jump over every wait.
            port: The port to listen on, or 0 for any free one.
            begins: The first instant of the virtual clock, with a time zone; the real
                time if None.
            seed: What made-up names and ids, jitter and `$random` follow from: two
                accounts with the same seed and beginning, used alike, do the same.
            in_process: Whether functions run in threads of this process, rather than
                in processes of their own.
        """
        self.region = region
        self.account_id = ACCOUNT_ID
        self.in_process = in_process
        self._speed = speed
        self._port = port
        self._begins = begins
        self._seed = seed
        self._chances: dict[str, random.Random] = {}
        self._server: Any = None
        self._middlewares: list[Middleware] = []
        # How many of them are not a bridge's.
        self._added = 0
        self._clients: dict[tuple[str, str], Any] = {}
        self._cdk: CdkCli | None = None
        self._query_files = itertools.count(1)

    def start(self) -> Self:
        """Start serving an empty account.

        Returns:
            This account.

        Raises:
            LocalAwsError: moto is missing or another version, the port is taken, or
                another local AWS runs in this process.
        """
        global _started
        if _started is not None:
            raise LocalAwsError(
                "a local AWS already runs in this process, and moto's state belongs to "
                "the process; stop it, or share it"
            )
        patching.check_moto()
        self._added = len(self._middlewares)
        _started = self
        # Functions may run in processes, which must not outlive this one.
        atexit.register(self.stop)
        self.clock = Clock(start=self._begins, speed=self._speed)
        try:
            self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def _set_up(self) -> None:
        """Put every bridge in place, over an empty moto, and answer with it."""
        # Late: these import moto, which the extra `local` brings.
        from cdk_personalize_segments.local import bridges, direct, service_models
        from cdk_personalize_segments.local.server import Server

        bridges.install_all(self)
        if self._server is None:
            self._server = Server(self._port, self._middlewares)
        else:
            self._server.answer_with(self._middlewares)
        direct.install(self._server)
        service_models.install()

    def stop(self) -> None:
        """Stop serving, and forget everything in the account."""
        global _started
        if _started is not self:
            return
        atexit.unregister(self.stop)
        self.clock.stop()
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._forget()
        self._middlewares.clear()
        self._clients.clear()
        _started = None

    def reset(self) -> None:
        """Empty the account, which goes on at the same endpoint.

        All is as after `start`: the clock is a new one that begins as the first did,
        so that `clock`, `personalize` and `sessions` are to be taken anew. What waits
        or runs is ended, and no other request may be under way.

        Raises:
            LocalAwsError: It is not running.
        """
        if self._server is None:
            raise LocalAwsError(_NOT_RUNNING)
        self.clock.stop()
        self._forget()
        del self._middlewares[self._added :]
        self.clock = Clock(start=self._begins, speed=self._speed)
        self._set_up()

    def _forget(self) -> None:
        """Take every bridge away, and with them what is in the account."""
        from cdk_personalize_segments.local import bridges

        bridges.remove_all()
        self._chances.clear()
        self._cdk = None

    def __enter__(self) -> Self:
        """Start serving."""
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self.stop()

    def chance(self, purpose: str) -> random.Random:
        """Give the source of chance for something, which follows from the seed.

        Args:
            purpose: What draws from it. Each has a source of its own, so that how
                others draw makes no difference.
        """
        return self._chances.setdefault(
            purpose,
            random.Random(f"{self._seed}/{purpose}"),  # noqa: S311
        )

    def new_id(self, purpose: str) -> str:
        """Make up a UUID, which follows from the seed.

        Args:
            purpose: As in `chance`.
        """
        chance = self.chance(purpose)
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    def add_middleware(self, wrap: "Middleware") -> None:
        """Look at every request before moto does.

        Args:
            wrap: Takes the application as it is, returns the one to use. It counts
                from the next start.
        """
        self._middlewares.append(wrap)

    @property
    def endpoint_url(self) -> str:
        """Where it serves: `http://localhost:PORT`.

        The name, not the address: templates by URL are only recognised by it.
        """
        if self._server is None:
            raise LocalAwsError(_NOT_RUNNING)
        return f"http://localhost:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point AWS tools and SDKs here, and nowhere else.

        The credentials are made up, the owner's configuration files are out of reach
        and the instance metadata service is off. `process_environment` has everything
        that a subprocess needs.
        """
        return aws_environment(self.endpoint_url, self.region)

    @property
    def process_environment(self) -> dict[str, str]:
        """The environment of this process, with its AWS settings replaced by ours."""
        return process_environment(self.endpoint_url, self.region)

    def client(self, service: str, region: str | None = None) -> Client:
        """Give a boto3 client with the rights of the account's administrator.

        Args:
            service: The service, as boto3 calls it.
            region: The Region, or None for the account's own.
        """
        key = (service, region or self.region)
        if key not in self._clients:
            self._clients[key] = self.create_client(*key)
        return self._clients[key]

    def create_client(self, service: str, region: str, **credentials: str) -> Client:
        """Give a new boto3 client.

        Args:
            service: The service, as boto3 calls it.
            region: The Region.
            **credentials: `aws_access_key_id` and so on; by default the
                administrator's.
        """
        import boto3
        import botocore.session
        from botocore.config import Config

        # Explicit, so that no setting of the machine can send a call elsewhere.
        core = botocore.session.Session(session_vars=_NO_SETTINGS)
        return boto3.session.Session(botocore_session=core, region_name=region).client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint_url,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
            **(
                credentials
                or {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
            ),
        )

    def deploy(
        self,
        *stacks: str,
        app: str | None = None,
        cwd: str | Path | None = None,
        context: Mapping[str, str] | None = None,
    ) -> dict[str, dict[str, str]]:
        """Deploy stacks with the CDK CLI, which bootstraps the account first.

        Args:
            *stacks: Names of the stacks, or none for all of the app.
            app: The command that synthesises, or the folder of a cloud assembly; by
                default what `cdk.json` says.
            cwd: The folder to run in; by default the current one.
            context: Context values for the app.

        Returns:
            The outputs of each stack.

        Raises:
            LocalAwsError: The CLI is missing, or fails; with what it said last.
        """
        return self._cdk_cli().deploy(stacks, app=app, cwd=cwd, context=context)

    def destroy(
        self,
        *stacks: str,
        app: str | None = None,
        cwd: str | Path | None = None,
        context: Mapping[str, str] | None = None,
    ) -> None:
        """Destroy stacks with the CDK CLI.

        Args:
            *stacks: Names of the stacks, or none for all of the app.
            app: As in `deploy`.
            cwd: As in `deploy`.
            context: As in `deploy`.

        Raises:
            LocalAwsError: The CLI is missing, or fails; with what it said last.
        """
        self._cdk_cli().destroy(stacks, app=app, cwd=cwd, context=context)

    def _cdk_cli(self) -> CdkCli:
        if self._cdk is None:
            self._cdk = CdkCli(
                lambda: self.process_environment, self.account_id, self.region
            )
        return self._cdk

    def seed(
        self,
        folder: str | Path,
        recipe: str = limits.ITEM_AFFINITY,
        name: str | None = None,
    ) -> str:
        """Give Personalize a trained solution, or retrain it if there is one.

        Args:
            folder: Holds `items.csv`, `interactions.csv` and optionally `users.csv`.
            recipe: `aws-item-affinity` or `aws-item-attribute-affinity`.
            name: The solution's name; by default that of the folder and the recipe.

        Returns:
            The ARN of the ACTIVE solution version.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file or an argument is malformed, or the name is that of a
                solution of another recipe.
        """
        return self.personalize.seed(folder, recipe=recipe, name=name)

    def messages(self, endpoint: str) -> "list[Message]":
        """Give the messages to an address outside of AWS, which go nowhere.

        Args:
            endpoint: An e-mail address, phone number or URL that subscribes to topics.

        Returns:
            The messages, oldest first.
        """
        return [each for each in self.topics.messages if each.endpoint == endpoint]

    def run(
        self,
        state_machine_arn: str,
        input: object = None,
        timeout: float = 60,
        *,
        queries: Iterable[Mapping[str, Any]] | None = None,
    ) -> Execution:
        """Start an execution and wait for its end.

        Args:
            state_machine_arn: The state machine.
            input: The input, anything that JSON can say; None is `{}`.
            timeout: Real seconds to wait at most.
            queries: For a pipeline's state machine: what to ask, such as
                `[{"itemId": "1"}]`, uploaded to its bucket and named in the input.

        Raises:
            LocalAwsError: It cannot be started, or has not ended in time and goes on.
            ValueError: The input names queries, too.
        """
        if queries is not None:
            others = {} if input is None else input
            if not isinstance(others, Mapping) or "queries" in others:
                raise ValueError(
                    "queries= names the queries in the input: leave them out there, "
                    f"and have it be a mapping, not {input!r}"
                )
            file = f"queries-{next(self._query_files)}.jsonl"
            upload(self.client, state_machine_arn, file, queries)
            input = {**others, "queries": file}
        return run_to_end(
            self.client("stepfunctions"), state_machine_arn, input, timeout
        )

    def segments(self, execution: Execution) -> dict[str, list[str]]:
        """Read the segments of a run.

        Args:
            execution: What `run` returned for a pipeline's state machine.

        Returns:
            The users of each query, the most likely first, by the query's item id or
            expression; by the whole query in JSON if it has filter values.

        Raises:
            LocalAwsError: The run failed, or some of its queries did.
        """
        return segments(self.client, execution)
