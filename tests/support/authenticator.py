"""The app on a person's phone that shows six digits, and how it is made a second factor."""

import base64
import hmac
import struct
import time

from tests.support.world import PASSWORD, Person, data

PATH = "/me/second-factor"


def digits(secret: str, steps: int = 0) -> str:
    """What an app shows, so many steps of half a minute from now: RFC 6238, written down independently of our code."""
    counter = int(time.time() // 30) + steps
    mac = hmac.digest(base64.b32decode(secret), struct.pack(">Q", counter), "sha1")
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


async def begin(person: Person) -> str:
    answer = data(await person.post(PATH, {"password": PASSWORD}), 201)
    return str(answer["secret"])


async def switch_on(person: Person) -> tuple[str, list[str]]:
    """The secret in the app, and the recovery codes. The code that confirms is an older one, so today's still works."""
    secret = await begin(person)
    answer = await person.post(f"{PATH}/confirm", {"code": digits(secret, -1)})
    if answer.status_code == 422:  # The half minute ended on the way there.
        answer = await person.post(f"{PATH}/confirm", {"code": digits(secret, -1)})
    return secret, data(answer)["recovery_codes"]
