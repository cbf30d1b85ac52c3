"""A Lambda runtime in plain Python, for where AWS's own does not install.

It is run as a script in a function's process, never imported, and only needs the
standard library. It speaks the runtime API and gives errors and log lines the shapes
that AWS's client gives them:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import decimal
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

_API = "/2018-06-01/runtime"

Handler = Callable[[Any, "Context"], Any]


class Fault(Exception):  # noqa: N818
    """The handler cannot be used, or what it returned cannot be sent."""

    def __init__(
        self, error_type: str, message: str, trace: list[str] | None = None
    ) -> None:
        """Describe the fault as the runtime reports it."""
        super().__init__(message)
        self.error_type = error_type
        self.trace = trace or []


class Context:
    """What a handler is told about its invocation."""

    client_context = None
    identity = None

    def __init__(self, headers: http.client.HTTPMessage) -> None:
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


class LogHandler(logging.Handler):
    """Writes records to standard output, as text or JSON."""

    def __init__(self, *, as_json: bool) -> None:
        """Choose the format."""
        super().__init__()
        self.as_json = as_json
        self.request_id: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        written = self._as_json(record) if self.as_json else self._as_text(record)
        sys.stdout.write(written + "\n")
        sys.stdout.flush()

    def _as_text(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return (
            f"[{record.levelname}]\t{at}.{int(record.msecs):03}Z\t"
            f"{self.request_id or ''}\t{self.format(record)}"
        )

    def _as_json(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "timestamp": _now(record.created),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": self.request_id,
        }
        if isinstance(record.msg, dict) and not record.args:
            told["message"] = record.msg
        if record.exc_info and record.exc_info[0]:
            told |= {
                "stackTrace": traceback.format_tb(record.exc_info[2]),
                "errorType": record.exc_info[0].__name__,
                "errorMessage": str(record.exc_info[1]),
                "location": f"{record.pathname}:{record.funcName}:{record.lineno}",
            }
        plain = vars(logging.makeLogRecord({}))
        told |= {
            name: value
            for name, value in vars(record).items()
            if name not in plain and name != "message"
        }
        told = {name: value for name, value in told.items() if value is not None}
        return json.dumps(told, ensure_ascii=False, default=str)


def main() -> NoReturn:
    """Load the handler, then answer one invocation after the other."""
    log = LogHandler(as_json=os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON")
    logging.getLogger().addHandler(log)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").replace("TRACE", "DEBUG")
    if level:
        logging.getLogger().setLevel(level)
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = _load(os.environ["_HANDLER"])
    except Exception:
        error = _error(None)
        _log_error(error, as_json=log.as_json)
        _post(api, "/init/error", error)
        sys.exit(1)
    while True:
        api.request("GET", f"{_API}/invocation/next")
        answer = api.getresponse()
        body = answer.read()
        context = Context(answer.headers)
        log.request_id = context.aws_request_id
        _handle(api, handler, body, context, as_json=log.as_json)


def _load(name: str) -> Handler:
    module_name, _, function_name = name.rpartition(".")
    if not module_name:
        raise Fault(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
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
    api: http.client.HTTPConnection,
    handler: Handler,
    body: bytes,
    context: Context,
    *,
    as_json: bool,
) -> None:
    place = f"/invocation/{context.aws_request_id}"
    try:
        result = handler(json.loads(body), context)
        try:
            written = json.dumps(result, ensure_ascii=False, default=_number)
        except Exception as error:
            raise Fault(
                "Runtime.MarshalError", f"Unable to marshal response: {error}"
            ) from None
    except Exception:
        error_result = _error(context.aws_request_id)
        _log_error(error_result, as_json=as_json)
        _post(api, f"{place}/error", error_result)
    else:
        _send(api, f"{place}/response", written.encode(), {})


def _number(value: object) -> float | int:
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _error(request_id: str | None) -> dict[str, Any]:
    kind, value, trace = sys.exc_info()
    if isinstance(value, Fault):
        error_type, frames = value.error_type, value.trace
    else:
        error_type = kind.__name__ if kind else ""
        frames = traceback.format_list(
            [
                frame
                for frame in traceback.extract_tb(trace)
                if frame.filename != __file__
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
        line = json.dumps(told, ensure_ascii=False)
    else:
        line = f"[ERROR] {error['errorType']}: {error['errorMessage']}"
        if error["stackTrace"]:
            trace = "".join(error["stackTrace"]).replace("\n", "\r")
            line = f"{line}\rTraceback (most recent call last):\r{trace}"
    print(line, flush=True)


def _now(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _post(api: http.client.HTTPConnection, place: str, error: dict[str, Any]) -> None:
    _send(
        api,
        place,
        json.dumps(error, ensure_ascii=False).encode(),
        {"Lambda-Runtime-Function-Error-Type": error["errorType"]},
    )


def _send(
    api: http.client.HTTPConnection, place: str, body: bytes, headers: dict[str, str]
) -> None:
    api.request("POST", _API + place, body, headers)
    api.getresponse().read()


if __name__ == "__main__":
    main()
