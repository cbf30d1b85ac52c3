"""The local AWS that runs on this machine, and what the commands ask of it."""

import json
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from cdk_personalize_segments.cli.errors import CliError

DEFAULT_PORT: Final = 4911
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# Only to find it: what it is asked to do may take as long as it likes.
_ANSWERS_WITHIN: Final = 10.0
# No proxy stands between this process and its own machine.
_opener: Final = build_opener(ProxyHandler({}))


class RunningLocalAws:
    """A local AWS in another process.

    Attributes:
        endpoint_url: Where it serves.
        region: The Region that it is.
        account_id: The account that it is.
        time: Its virtual time when it was found.
    """

    def __init__(self, endpoint_url: str) -> None:
        """Find it.

        Args:
            endpoint_url: Where it should serve.

        Raises:
            CliError: Nothing, or something else, is there.
        """
        # Late: most commands need not wait for the local AWS to be imported.
        from cdk_personalize_segments.local import control

        host = urlsplit(endpoint_url).hostname
        if host not in _LOOPBACK:
            raise CliError(
                "A local AWS is at an address like http://localhost:4911, and "
                f"{endpoint_url} is none; say where it is with --port, or unset "
                "AWS_ENDPOINT_URL."
            )
        self.endpoint_url = endpoint_url.rstrip("/")
        self._path = control.PATH
        told = self._ask(
            Request(self.endpoint_url + self._path),  # noqa: S310
            _ANSWERS_WITHIN,
        )
        if told.get("server") != control.SERVER:
            raise self._is_another()
        self.endpoint_url = str(told["endpointUrl"])
        self.region = str(told["region"])
        self.account_id = str(told["accountId"])
        self.time = str(told["time"])

    def seed(self, folder: str, recipe: str, name: str | None) -> tuple[str, bool]:
        """Train a solution, or retrain it.

        Args:
            folder: The folder with the data, as an absolute path.
            recipe: The recipe's name in Personalize.
            name: The solution's name, or None for one that follows from the folder.

        Returns:
            The ARN of the solution version, and whether the solution was there.
        """
        asked = {"folder": folder, "recipe": recipe, "name": name}
        told = self._tell("seed", asked)
        return str(told["solutionVersionArn"]), bool(told["retrained"])

    def let_time_pass(self, **how: float | str) -> str:
        """Let virtual time pass.

        Args:
            **how: `advance`, the seconds, or `to`, the time.

        Returns:
            The virtual time then.
        """
        return str(self._tell("clock", how)["time"])

    def reset(self) -> None:
        """Empty the account."""
        self._tell("reset", {})

    def _tell(self, what: str, content: Any) -> Any:  # noqa: ANN401
        request = Request(  # noqa: S310
            f"{self.endpoint_url}{self._path}/{what}",
            data=json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        return self._ask(request, None)

    def _ask(self, request: Request, timeout: float | None) -> Any:  # noqa: ANN401
        try:
            with _opener.open(request, timeout=timeout) as response:
                answer = json.load(response)
        except HTTPError as error:
            raise self._refusal(error) from None
        except TimeoutError:
            raise self._is_another() from None
        except (URLError, OSError):
            raise CliError(
                f"Nothing listens at {self.endpoint_url}; start a local AWS with "
                "`personalize-segments local start`, or say where one is with --port "
                "or AWS_ENDPOINT_URL."
            ) from None
        except ValueError:
            raise self._is_another() from None
        if not isinstance(answer, dict):
            raise self._is_another()
        return answer

    def _refusal(self, error: HTTPError) -> CliError:
        try:
            message = str(json.load(error)["message"])
        except (KeyError, TypeError, ValueError):
            return self._is_another()
        return CliError(f"{message}.")

    def _is_another(self) -> CliError:
        return CliError(
            f"What listens at {self.endpoint_url} is not a local AWS of "
            "personalize-segments; say where one is with --port or AWS_ENDPOINT_URL."
        )
