"""Runs Lambda functions: each version in containers of its own, kept warm."""

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import shutil
import tempfile
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cdk_personalize_segments.local import log_groups
from cdk_personalize_segments.local.errors import LocalAwsError
from cdk_personalize_segments.local.functions.container import (
    INIT_SECONDS,
    Container,
)
from cdk_personalize_segments.local.functions.host import Host, Setup
from cdk_personalize_segments.local.functions.lines import Tail
from cdk_personalize_segments.local.functions.platform_log import PlatformLog
from cdk_personalize_segments.local.functions.process import FunctionProcess
from cdk_personalize_segments.local.functions.runtime_api import Answer, Event
from cdk_personalize_segments.local.functions.thread import FunctionThread
from cdk_personalize_segments.local.outcomes import Origin, is_nested
from cdk_personalize_segments.local.untyped import Moto

_AT_ONCE: Final = max(4, 2 * (os.cpu_count() or 1))
# Real seconds for which others wait: those that run may wait for them.
_LONGEST_TURN_SECONDS: Final = 5.0
# Threads take less than processes.
_WARM: Final = {False: 16, True: 128}
# What a Python runtime of Lambda has besides the standard library.
_SDK: Final = (
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six",
    "urllib3",
)
_AWS_RUNTIME: Final = (
    "awslambdaric",
    "runtime_client",
    "simplejson",
    "snapshot_restore_py",
)


@dataclass(frozen=True, kw_only=True)
class Function:
    """A version of a function, as it is when it is invoked.

    Attributes:
        arn: Its ARN, without version.
        name: Its name.
        version: Its version, or `$LATEST`.
        handler: Module and function.
        runtime: Like `python3.14`.
        role_arn: Its role.
        timeout: Seconds.
        memory_megabytes: Its memory.
        variables: Its environment.
        code: The zip.
        code_sha256: What tells one zip from another.
        logging: Its logging configuration.
    """

    arn: str
    name: str
    version: str
    handler: str
    runtime: str
    role_arn: str
    timeout: float
    memory_megabytes: int
    variables: Mapping[str, str]
    code: bytes
    code_sha256: str
    logging: Mapping[str, str]

    @property
    def log_group(self) -> str:
        """The log group that it writes to."""
        return self.logging.get("LogGroup") or f"/aws/lambda/{self.name}"

    @property
    def logs_json(self) -> bool:
        """Whether its log is in JSON."""
        return self.logging.get("LogFormat") == "JSON"

    @property
    def sameness(self) -> str:
        """The same for two functions that can share a container."""
        told = {**vars(self), "code": None}
        return json.dumps(told, sort_keys=True)


class FunctionRunner:
    """All containers of all functions of one local AWS."""

    def __init__(
        self,
        *,
        region: str,
        account_id: str,
        endpoint_url: Callable[[], str],
        credentials: Callable[[str], Mapping[str, str]],
        may: Callable[[str, str, str], bool],
        logged: Callable[[str, str], None] = lambda *_: None,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        in_process: Callable[[], bool],
        plain: bool | None = None,
        init_seconds: float = INIT_SECONDS,
    ) -> None:
        """Begin without containers.

        Args:
            region: The Region of the functions.
            account_id: Their account.
            endpoint_url: Gives the address of the local AWS.
            credentials: Gives a role's credentials, as boto3 takes them.
            may: Tells whether a role may do an action to a resource.
            logged: Is told of each line that is logged, and of its log group.
            now: Tells the time of log lines.
            new_id: Makes up an id for a purpose.
            in_process: Tells whether to run functions in threads of this process,
                rather than in processes of their own.
            plain: Whether processes use the plain runtime rather than AWS's; None uses
                AWS's where it is installed, which is on Linux only.
            init_seconds: How long a container may take to start.
        """
        self._init_seconds = init_seconds
        self._region = region
        self._account_id = account_id
        self._endpoint_url = endpoint_url
        self._credentials = credentials
        self._may = may
        self._logged = logged
        self._now = now
        self._new_id = new_id
        self._in_process = in_process
        self._plain = (
            importlib.util.find_spec("awslambdaric") is None if plain is None else plain
        )
        self._folder = Path(tempfile.mkdtemp(prefix="local-functions-"))
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._warm: OrderedDict[Container, tuple[str, bool]] = OrderedDict()
        self._working: set[Container] = set()
        # By the credentials of their containers.
        self._origins: dict[str, Origin] = {}
        self._closed = False
        self._libraries = self._gather_libraries()

    def run(
        self,
        function: Function,
        invoked_arn: str,
        payload: bytes,
        request_id: str | None = None,
        begun: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Run a function, in a warm container if there is one.

        At most a few run at once. Others wait for their turn, but not for long, and not
        at all if a function that runs may wait for them.

        Args:
            function: The function.
            invoked_arn: The ARN that it was invoked by.
            payload: The event, as JSON.
            request_id: The id of the request, or None for a new one.
            begun: Is told when the function gets its event.

        Returns:
            What it returned, or its error.
        """
        event = Event(
            request_id or self._new_id(f"invocations of {function.arn}"),
            invoked_arn,
            payload,
            function.timeout,
        )
        with self._turn():
            return self._handle(function, event, begun)

    def origin_of(self, access_key: str) -> Origin | None:
        """Give the invocation that has these credentials, while it works."""
        return self._origins.get(access_key)

    def close(self) -> None:
        """End all containers."""
        with self._lock:
            self._closed = True
            containers = [*self._warm, *self._working]
            self._warm.clear()
        for container in containers:
            container.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        has_place = not is_nested() and self._places.acquire(
            timeout=_LONGEST_TURN_SECONDS
        )
        try:
            yield
        finally:
            if has_place:
                self._places.release()

    def _handle(
        self, function: Function, event: Event, begun: Callable[[], None]
    ) -> Answer:
        in_process = self._in_process()
        container = self._take(function, in_process)
        origin = self._origins[container.access_key] = Origin()
        try:
            return container.handle(event, begun)
        finally:
            origin.end()
            del self._origins[container.access_key]
            self._give_back(container, function, in_process)

    def _take(self, function: Function, in_process: bool) -> Container:
        kind = function.sameness, in_process
        with self._lock:
            self._check_open()
            for container, other in reversed(self._warm.items()):
                if other == kind and container.is_ready:
                    del self._warm[container]
                    self._working.add(container)
                    return container
        container = self._start(function, in_process)
        try:
            with self._lock:
                self._check_open()
                self._working.add(container)
        except LocalAwsError:
            container.close()
            raise
        return container

    def _check_open(self) -> None:
        if self._closed:
            raise LocalAwsError("this local AWS has stopped, and so have its functions")

    def _give_back(
        self, container: Container, function: Function, in_process: bool
    ) -> None:
        cold: list[Container] = []
        with self._lock:
            self._working.discard(container)
            if container.is_ready and not self._closed:
                self._warm[container] = function.sameness, in_process
                while len(self._warm) > _WARM[in_process]:
                    cold.append(self._warm.popitem(last=False)[0])
            else:
                cold.append(container)
        for each in cold:
            each.close()

    def _start(self, function: Function, in_process: bool) -> Container:
        now = self._now()
        stream_id = self._new_id(f"log streams of {function.arn}").replace("-", "")
        stream = f"{now:%Y/%m/%d}/[{function.version}]{stream_id}"
        tail = Tail(self._log_to(function, stream))
        setup = Setup(
            code=self._unpack(function),
            libraries=self._libraries,
            environment=self._environment(function, stream),
            log=tail.write,
        )

        def start_host() -> Host:
            if in_process:
                return FunctionThread(setup)
            return FunctionProcess(setup, plain=self._plain)

        return Container(
            start_host,
            access_key=setup.environment["AWS_ACCESS_KEY_ID"],
            memory_megabytes=function.memory_megabytes,
            log=PlatformLog(
                version=function.version,
                memory_megabytes=function.memory_megabytes,
                logging=function.logging,
                now=self._now,
                write=tail.write,
            ),
            tail=tail,
            init_seconds=self._init_seconds,
        )

    def _log_to(self, function: Function, stream: str) -> Callable[[str], None]:
        is_logged = self._prepare_log(function, stream)

        def log(line: str) -> None:
            if is_logged:
                log_groups.put(
                    self._account_id,
                    self._region,
                    function.log_group,
                    stream,
                    self._now(),
                    [line],
                )
                self._logged(function.log_group, line)

        return log

    def _prepare_log(self, function: Function, stream: str) -> bool:
        """Tell whether a function's lines are logged, which is up to its role."""
        place = f"arn:aws:logs:{self._region}:{self._account_id}:log-group"
        group = f"{place}:{function.log_group}"
        role = function.role_arn
        if not log_groups.exists(self._account_id, self._region, function.log_group):
            if not self._may(role, "logs:CreateLogGroup", group):
                return False
            log_groups.create(self._account_id, self._region, function.log_group)
        return all(
            self._may(role, action, f"{group}:log-stream:{stream}")
            for action in ("logs:CreateLogStream", "logs:PutLogEvents")
        )

    def _environment(self, function: Function, stream: str) -> dict[str, str]:
        """Give what Lambda sets, and what keeps the process in the local AWS.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        credentials = self._credentials(function.role_arn)
        levels = {}
        if function.logs_json:
            levels["AWS_LAMBDA_LOG_LEVEL"] = function.logging.get(
                "ApplicationLogLevel", "INFO"
            )
        return {
            **function.variables,
            "_HANDLER": function.handler,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_megabytes),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_LAMBDA_LOG_FORMAT": "JSON" if function.logs_json else "Text",
            **levels,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
            "AWS_SESSION_TOKEN": credentials["aws_session_token"],
            "AWS_ENDPOINT_URL": self._endpoint_url(),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "localhost,127.0.0.1",
            "LAMBDA_TASK_ROOT": str(self._code_folder(function)),
            "LAMBDA_RUNTIME_DIR": str(self._libraries),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "PYTHONUTF8": "1",
            "TZ": "UTC",
        }

    def _code_folder(self, function: Function) -> Path:
        digest = hashlib.sha256(function.code_sha256.encode()).hexdigest()
        return self._folder / "code" / digest[:16]

    def _unpack(self, function: Function) -> Path:
        folder = self._code_folder(function)
        with self._lock:
            if not folder.exists():
                folder.mkdir(parents=True)
                with zipfile.ZipFile(io.BytesIO(function.code)) as archive:
                    archive.extractall(folder)
        return folder

    def _gather_libraries(self) -> Path:
        """Put the libraries of a runtime in one place, without their neighbours."""
        folder = self._folder / "runtime"
        folder.mkdir()
        for name in _SDK if self._plain else (*_SDK, *_AWS_RUNTIME):
            found = importlib.util.find_spec(name)
            if found is None:
                continue
            places = found.submodule_search_locations
            place = Path(places[0] if places else str(found.origin))
            (folder / place.name).symlink_to(place)
        return folder


def function_of(stored: Moto) -> Function:
    """Read what is needed of a function as moto stores it."""
    return Function(
        arn=stored.function_arn.removesuffix(f":{stored.version}"),
        name=stored.function_name,
        version=str(stored.version),
        handler=stored.handler,
        runtime=stored.run_time,
        role_arn=stored.role,
        timeout=float(stored.timeout),
        memory_megabytes=int(stored.memory_size),
        variables=dict(stored.environment_vars),
        code=stored.code_bytes,
        code_sha256=stored.code_sha_256,
        logging=dict(stored.logging_config),
    )
