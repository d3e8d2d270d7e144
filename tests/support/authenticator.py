"""An authenticator app (TOTP), and how an account enables it as its second factor."""

import base64
import hmac
import struct
import time

from tests.support.world import PASSWORD, Person, data

PATH = "/me/second-factor"


def digits(secret: str, steps: int = 0) -> str:
    """The code that an app shows, `steps` of 30 s from now: RFC 6238, implemented independently of the product."""
    counter = int(time.time() // 30) + steps
    mac = hmac.digest(base64.b32decode(secret), struct.pack(">Q", counter), "sha1")
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


async def begin(person: Person) -> str:
    answer = data(await person.post(PATH, {"password": PASSWORD}), 201)
    return str(answer["secret"])


async def switch_on(person: Person) -> tuple[str, list[str]]:
    """Enable the second factor; returns its secret and the recovery codes. Confirms with the previous code, so that the
    present one stays unused."""
    secret = await begin(person)
    answer = await person.post(f"{PATH}/confirm", {"code": digits(secret, -1)})
    if answer.status_code == 422:  # The code expired on the way.
        answer = await person.post(f"{PATH}/confirm", {"code": digits(secret, -1)})
    return secret, data(answer)["recovery_codes"]
