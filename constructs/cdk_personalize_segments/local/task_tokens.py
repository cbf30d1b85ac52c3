"""Task tokens, which tell whose they are: permissions go by the state machine.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
"""

import base64
import binascii
import random
from typing import Final

_BITS: Final = 128


def new_token(state_machine_arn: str, chance: random.Random) -> str:
    """Make a token.

    Args:
        state_machine_arn: The state machine of the task that waits for it.
        chance: Where the rest of it comes from.
    """
    text = f"{state_machine_arn} {chance.getrandbits(_BITS):x}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def state_machine_of(token: str) -> str:
    """Tell whose token it is.

    Args:
        token: A token.

    Returns:
        The state machine's ARN, or what no policy names if it is no token of ours.
    """
    try:
        return base64.urlsafe_b64decode(token).decode().partition(" ")[0]
    except (binascii.Error, ValueError):
        return ""
