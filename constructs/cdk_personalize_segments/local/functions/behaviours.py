"""What is emulated of Lambda's behaviour, for the table of the documentation."""

from collections.abc import Mapping
from typing import Final

BEHAVIOURS: Final[Mapping[str, str]] = {
    "asynchronous-invocation": (
        "InvocationType=Event is answered at once; a function that fails runs again "
        "after one minute and after two more, in virtual time, under the same request "
        "id. Dead-letter queues and destinations are refused."
    ),
    "clock": (
        "A handler's own clock, as time.time() and datetime.now(), is the real one: "
        "handlers take the account's virtual time from their event. Log events have "
        "the virtual time."
    ),
    "code-folder": (
        "LAMBDA_TASK_ROOT is one folder for all containers of a zip. It is read-only "
        "on Lambda; here it can be written to, and what is written stays for others."
    ),
    "cold-start": (
        "A container starts with a function's first event or when all others are busy, "
        "and keeps the globals of its modules while it is warm; changed code or "
        "settings start another one."
    ),
    "context": (
        "Handlers get request id, ARN, version, memory, log names and remaining time."
    ),
    "credentials": (
        "A function acts as its role, with credentials of its own; every request is "
        "held to the role's policies."
    ),
    "environment": (
        "A function sees its own variables and those that Lambda sets, nothing of the "
        "developer's; more than 4 KB and reserved names are refused."
    ),
    "error-shapes": (
        "What a handler raises, returns that is no JSON, and what ends a runtime are "
        "answered as AWS's runtime and Lambda answer them. Bytes are answered as they "
        "are; a Task whose function returns no JSON, or NaN, fails with "
        "States.Runtime, since what Step Functions does then is not documented."
    ),
    "event-limits": (
        "Events above 6 MB (1 MB if asynchronous), events that are no JSON and "
        "responses above 6 MB are refused with AWS's errors."
    ),
    "exit": "A runtime that ends is Runtime.ExitError; the next event starts another.",
    "in-process": (
        "Functions may run in threads of the process instead of processes, with the "
        "same answers, errors and log lines."
    ),
    "init": (
        "A start that fails or takes longer than 10 seconds is reported and done once "
        "more, as a part of the invocation and within its time-out."
    ),
    "log": (
        "What a function writes goes to its log group, as text or JSON by its logging "
        "configuration, if its role may write there. A line above 1 MB becomes several "
        "events."
    ),
    "log-levels": (
        "ApplicationLogLevel and SystemLogLevel decide what is written in JSON."
    ),
    "log-tail": "LogType=Tail gives the last 4 KB of the invocation's log.",
    "memory-limit": (
        "A process that takes more than its memory, at any time, is killed, if not at "
        "once then within a tenth of a second or at the end; on macOS only if it still "
        "takes it then. Threads are not limited."
    ),
    "order": (
        "Functions run side by side, and their outcomes come in the order of the "
        "invocations. An outcome does not wait for a function that may itself wait for "
        "it, and for no function longer than 5 seconds: among slower ones the order "
        "depends on their speed. A state that is left does not end its function: time "
        "stands still until it has ended."
    ),
    "platform-log": (
        "Lambda's START, END, REPORT and INIT_REPORT lines, and their JSON events, "
        "with real durations; INIT_START is not written."
    ),
    "qualifier": (
        "Functions are invoked by $LATEST, by number of version and by alias, each "
        "version with its own code and settings."
    ),
    "settings": (
        "Python functions from zips; layers, images, VPCs, file systems, SnapStart and "
        "all else that is not honoured are refused by name when a function is made."
    ),
    "time-out": (
        "A function that takes longer than its time-out, in real seconds, ends with "
        "Sandbox.Timedout; virtual time stands still meanwhile. A Task's "
        "TimeoutSeconds, also in real seconds, fails the task while its function runs "
        "on."
    ),
}
"""Each behaviour, and how far it goes."""
