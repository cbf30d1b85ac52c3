"""Keeps a function on this machine: what it sends anywhere else is refused by name.

Run as a script, this refuses for the whole of its process, and then runs the module or
the file that its first argument names. It is only what Python itself connects that is
seen: not what processes that a function starts do, nor libraries beneath Python.
"""

import runpy
import sys
from typing import Any

_ADDRESSED = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKED_UP = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"}
)


class OfflineError(RuntimeError):
    """A function wants to leave this machine.

    It is no OSError: libraries try again after those, and hide what they say.
    """


def check(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what would leave this machine.

    Args:
        event: An audit event of https://docs.python.org/3/library/audit_events.html.
        arguments: What belongs to it.

    Raises:
        OfflineError: It is about a place that is not on this machine.
    """
    if event in _LOOKED_UP:
        host = arguments[0]
    elif event in _ADDRESSED and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name and not _is_here(name):
        raise OfflineError(
            f"a function in local AWS tried to reach {name}, and has no network: "
            "services are at AWS_ENDPOINT_URL, which SDKs use unless the code gives "
            "them an endpoint; for anything else, have a stand-in on localhost"
        )


def _is_here(host: str) -> bool:
    is_loopback = host.startswith("127.") and host.replace(".", "").isdigit()
    return is_loopback or host in ("localhost", "::1") or host.endswith(".localhost")


if __name__ == "__main__":
    sys.addaudithook(check)
    del sys.argv[0]
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
