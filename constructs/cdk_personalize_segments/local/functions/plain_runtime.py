"""A Lambda runtime in plain Python, for where AWS's own does not install or fit.

It is run as a script in a function's process, or as a module of a function's sandbox,
and only needs the standard library. It speaks the runtime API and gives errors and log
lines the shapes that AWS's client gives them:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import decimal
import http.client
import importlib
import json
import logging
import math
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, Protocol

# Of frames that are not the function's.
_OURS = os.path.dirname(__file__)  # noqa: PTH120
# Those that escape only the characters of JSON itself.
_UNESCAPED = {f"AWS_Lambda_python3.{minor}" for minor in range(12, 16)}
# Before numbers, in what is to be written without the quotes of a string.
_MARK = f"decimal-{os.urandom(8).hex()}-"
_NUMBER = re.compile(f'"{_MARK}(.*?)"')
# In AWS's words.
_UNHANDLED = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the "
    "function code. However, in rare cases, a Lambda runtime update can cause "
    "unexpected function behavior. For functions using managed runtimes, runtime "
    "updates can be triggered by a function change, or can be applied automatically. "
    "To determine if the runtime has been updated, check the runtime version in the "
    "INIT_START log entry. If this error correlates with a change in the runtime "
    "version, you may be able to mitigate this error by temporarily rolling back to "
    "the previous runtime version. For more information, see "
    "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)

Handler = Callable[[Any, "Context"], Any]


class Api(Protocol):
    """The runtime API."""

    def next(self) -> tuple[bytes, Mapping[str, str]]:
        """Wait for the next event; give its body and headers."""

    def post(self, place: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a response or an error."""


class HttpApi:
    """The runtime API over HTTP."""

    _ROOT = "/2018-06-01/runtime"

    def __init__(self, address: str) -> None:
        """Connect when first used."""
        self._connection = http.client.HTTPConnection(address)

    def next(self) -> tuple[bytes, Mapping[str, str]]:
        """Wait for the next event; give its body and headers."""
        self._connection.request("GET", f"{self._ROOT}/invocation/next")
        answer = self._connection.getresponse()
        return answer.read(), answer.headers  # type: ignore[return-value]

    def post(self, place: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a response or an error."""
        self._connection.request("POST", self._ROOT + place, body, dict(headers))
        self._connection.getresponse().read()


class Fault(Exception):  # noqa: N818
    """The handler cannot be used, or what it returned cannot be sent."""

    def __init__(
        self, error_type: str, message: str, trace: list[str] | None = None
    ) -> None:
        """Describe the fault as the runtime reports it."""
        super().__init__(message)
        self.error_type = error_type
        self.trace = trace or []


class Identity:
    """Who called, where an identity pool says so."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """What a handler is told about its invocation."""

    client_context = None
    identity = Identity()
    tenant_id = None

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Read the headers of the next invocation."""
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]

    def get_remaining_time_in_millis(self) -> int:
        """Tell how long the handler may still take."""
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """Write to the log as it is."""
        sys.stdout.write(str(message))


class LogHandler(logging.Handler):
    """Writes records to standard output, as text or JSON."""

    def __init__(self, *, as_json: bool) -> None:
        """Choose the format."""
        super().__init__()
        self.as_json = as_json
        self.request_id = ""
        self.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t"
                "%(message)s\n",
                "%Y-%m-%dT%H:%M:%S",
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        record.aws_request_id = self.request_id
        sys.stdout.write(self._as_json(record) if self.as_json else self.format(record))

    def _as_json(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "timestamp": _now(record.created),
            "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
            "message": record.getMessage(),
            "logger": record.name,
        }
        if isinstance(record.msg, dict) and not record.args:
            told["message"] = record.msg
        if record.exc_info and record.exc_info[0]:
            told |= {
                "stackTrace": traceback.format_tb(record.exc_info[2]),
                "errorType": record.exc_info[0].__name__,
                "errorMessage": str(record.exc_info[1]),
            }
        told["requestId"] = self.request_id
        if record.exc_info:
            told["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        plain = vars(logging.makeLogRecord({"aws_request_id": None}))
        told |= {
            name: value
            for name, value in vars(record).items()
            if name not in plain and name not in told and name != "exc_text"
        }
        told = {name: value for name, value in told.items() if value is not None}
        return json.dumps(told, ensure_ascii=False, default=str) + "\n"


def main(api: Api) -> NoReturn:
    """Load the handler, then answer one invocation after the other.

    Args:
        api: Where events come from.
    """
    logging.Formatter.converter = time.gmtime
    log = LogHandler(as_json=os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON")
    logging.getLogger().addHandler(log)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").replace("TRACE", "DEBUG")
    if level:
        logging.getLogger().setLevel(level)
    try:
        handler = _load(os.environ["_HANDLER"])
    except Exception:
        error = _error(None)
        logging.warning(_UNHANDLED)
        _log_error(error, as_json=log.as_json)
        _post(api, "/init/error", error)
        sys.exit(1)
    while True:
        body, headers = api.next()
        context = Context(headers)
        log.request_id = context.aws_request_id
        _handle(api, handler, body, context, as_json=log.as_json)


def _load(name: str) -> Handler:
    module_name, _, function_name = name.rpartition(".")
    if not module_name:
        raise Fault(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
        )
    if module_name.partition(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            f"Cannot use built-in module {module_name} as a handler module",
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError",
            f"Unable to import module '{module_name}': {error}",
        ) from None
    except SyntaxError as error:
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{module_name}': {error}",
            [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'],
        ) from None
    try:
        handler: Handler = getattr(module, function_name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound",
            f"Handler '{function_name}' missing on module '{module_name}'",
        ) from None
    return handler


def _handle(
    api: Api,
    handler: Handler,
    body: bytes,
    context: Context,
    *,
    as_json: bool,
) -> None:
    place = f"/invocation/{context.aws_request_id}"
    try:
        written = _written(handler(_read(body), context))
    except Exception:
        error_result = _error(context.aws_request_id)
        _log_error(error_result, as_json=as_json)
        _post(api, f"{place}/error", error_result)
    else:
        api.post(f"{place}/response", written, {})


def _read(body: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(body)
    except Exception as error:
        raise Fault(
            "Runtime.UnmarshalError", f"Unable to unmarshal input: {error}"
        ) from None


def _written(result: object) -> bytes:
    if isinstance(result, bytes):
        return result
    try:
        return _json(_encodable(result)).encode()
    except RecursionError:
        raise Fault(
            "Runtime.MarshalError",
            "Unable to marshal response: Circular reference detected",
        ) from None
    except Exception as error:
        raise Fault(
            "Runtime.MarshalError", f"Unable to marshal response: {error}"
        ) from None


def _json(value: object) -> str:
    ensure_ascii = os.environ.get("AWS_EXECUTION_ENV") not in _UNESCAPED
    text = json.dumps(value, ensure_ascii=ensure_ascii)
    return _NUMBER.sub(r"\1", text)


def _encodable(value: Any) -> Any:  # noqa: ANN401
    """Give what `json` writes as AWS's runtime writes the value."""
    if isinstance(value, dict):
        return {key: _encodable(each) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _encodable(value._asdict())
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    if isinstance(value, decimal.Decimal):
        # Digit by digit, which no float keeps.
        return math.nan if value.is_nan() else f"{_MARK}{value}"
    return value


def _error(request_id: str | None) -> dict[str, Any]:
    kind, value, trace = sys.exc_info()
    if isinstance(value, Fault):
        error_type, frames = value.error_type, value.trace
    else:
        error_type = kind.__name__ if kind else ""
        # Without the marks below a line that newer Pythons make.
        frames = traceback.format_list(
            [
                (frame.filename, frame.lineno or 0, frame.name, frame.line)
                for frame in traceback.extract_tb(trace)
                if not frame.filename.startswith(_OURS)
            ]
        )
    return {
        "errorMessage": str(value),
        "errorType": error_type,
        "requestId": request_id or "",
        "stackTrace": frames,
    }


def _log_error(error: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        told = {"timestamp": _now(time.time()), "level": "ERROR", **error}
        line = _json(told)
    else:
        line = "\r".join(_as_text(error))
    sys.stdout.write(line + "\n")


def _as_text(error: dict[str, Any]) -> Iterator[str]:
    head = "[ERROR]"
    if error["errorType"]:
        head += f" {error['errorType']}"
    if error["errorMessage"]:
        head += f": {error['errorMessage']}"
    yield head
    yield "Traceback (most recent call last):"
    for frame in error["stackTrace"]:
        for line in frame.splitlines() or [""]:
            code = line.lstrip(" ")
            yield "\u00a0" * (len(line) - len(code)) + code


def _now(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _post(api: Api, place: str, error: dict[str, Any]) -> None:
    api.post(
        place,
        _json(error).encode(),
        {"Lambda-Runtime-Function-Error-Type": error["errorType"]},
    )


if __name__ == "__main__":
    main(HttpApi(os.environ["AWS_LAMBDA_RUNTIME_API"]))
