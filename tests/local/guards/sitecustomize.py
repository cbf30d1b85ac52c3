"""Refuses and records, in every Python process, all that would leave this machine."""

import os
import sys
from pathlib import Path

_LOOKED_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_ADDRESSED = {"socket.connect", "socket.sendto", "socket.sendmsg"}


def _refuse(event, arguments):
    if event in _LOOKED_UP:
        host = arguments[0]
    elif event in _ADDRESSED and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host in (None, "", "localhost", "127.0.0.1", "::1"):
        return
    with Path(os.environ["NETWORK_ATTEMPTS"]).open("a") as record:
        record.write(f"python {sys.argv}: {event} {host}\n")
    raise OSError(f"refused: {event} {host}")


sys.addaudithook(_refuse)
