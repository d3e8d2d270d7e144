"""Access tokens that must be refused, each one step away from a valid one, and unusual tokens that are valid.

Most forgeries are signed with the genuine key, which an attacker would not have: a claim must be refused for its value,
not only because the signature is wrong as well.
"""

import base64
import hashlib
import hmac
import json
import time
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ticketing.infra.config import get_settings
from ticketing.infra.security.keyring import Key

SECRET = get_settings().jwt_secrets[0]
KID = Key(SECRET).id
HEADER = {"alg": "HS256", "kid": KID, "typ": "JWT"}
#: The attacker's key.
THEIRS = "another secret that is long enough to be one"

Json = dict[str, Any]


def encoded(part: Json | list[Any] | bytes) -> str:
    """Encode JSON or raw bytes in base64url without padding."""
    raw = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forge(header: Json | bytes, claims: Json | bytes, key: str | bytes = SECRET, digest: str = "sha256") -> str:
    """Sign with HMAC regardless of the header."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    raw = key if isinstance(key, bytes) else key.encode()
    return f"{signed}.{encoded(hmac.digest(raw, signed.encode(), digest))}"


def claims_for(user_id: str, session_id: str) -> Json:
    """Return the claims of a genuine token."""
    now = int(time.time())
    who = {"sub": user_id, "sid": session_id, "typ": "access"}
    return {"iss": "ticketing", "aud": "ticketing-api", **who, "iat": now, "exp": now + 900}


def forgeries(claims: Json) -> dict[str, str]:
    """Return every forgery, for an existing user and session."""
    makers = (_algorithms, _confusions, _kids, _headers, _wrong_claims, _times, _doubles, _spellings)
    return {name: token for make in makers for name, token in make(claims).items()}


def oddities(claims: Json) -> dict[str, str]:
    """Return valid tokens that an overly strict check would refuse."""
    now = int(time.time())
    return {
        "the pattern itself": forge(HEADER, claims),
        "another order in the header": forge({"typ": "JWT", "kid": KID, "alg": "HS256"}, claims),
        "spaces in the JSON": forge(json.dumps(HEADER, indent=1).encode(), json.dumps(claims, indent=1).encode()),
        "a claim that we do not know yet": forge(HEADER, {**claims, "amr": ["otp"]}),
        "valid since just now": forge(HEADER, {**claims, "nbf": now}),
        "a clock that is a little ahead": forge(HEADER, {**claims, "iat": now + 2, "exp": now + 902}),
        "its last second": forge(HEADER, {**claims, "exp": now + 2}),
        "as long a life as there can be": forge(HEADER, {**claims, "iat": now, "exp": now + 3600}),
    }


def _algorithms(claims: Json) -> dict[str, str]:
    spelt = ("none", "None", "NONE", "nOnE", "", "null", "HS256 ", "hs256", "HS1", "HS256\x00")
    unsigned = {f"alg {alg!r}": f"{encoded({**HEADER, 'alg': alg})}.{encoded(claims)}." for alg in spelt}
    resigned = {f"alg {alg!r}, signed": forge({**HEADER, "alg": alg}, claims) for alg in spelt}
    swapped = {f"{alg} with our key": _with_alg(alg, claims, SECRET * 3, digest) for alg, digest in _LONGER}
    odd = {f"alg {alg!r}": forge({**HEADER, "alg": alg}, claims) for alg in (None, 256, True, ["HS256"], {"a": 1})}
    missing = {"no alg": forge({"kid": KID, "typ": "JWT"}, claims)}
    return {**unsigned, **resigned, **swapped, **odd, **missing}


_LONGER = (("HS384", "sha384"), ("HS512", "sha512"))


def _with_alg(alg: str, claims: Json, key: str, digest: str) -> str:
    return forge({**HEADER, "alg": alg}, claims, key, digest)


@lru_cache(maxsize=1)
def _private_keys() -> dict[str, Any]:
    return {
        "RS256": rsa.generate_private_key(65537, 2048),
        "PS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


def _confusions(claims: Json) -> dict[str, str]:
    """Key confusion: other key types, and public keys used as HMAC secrets."""
    own = {f"{alg} with a key of one's own": jwt.encode(claims, k, alg, {"kid": KID}) for alg, k in _own_keys()}
    seed = base64.b64decode(get_settings().ticket_signing_key.get_secret_value().split(",")[0])
    published = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
    raw = published.public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = published.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    keys: dict[str, str | bytes] = {
        "another key": THEIRS,
        "an empty key": "",
        "the published key, raw": raw,
        "the published key, PEM": pem,
        "the published key, base64": base64.b64encode(raw),
        "our key's id": KID,
        "our key twice": SECRET * 2,
        "our key with a line end": SECRET + "\n",
        "a digest of our key": hashlib.sha256(SECRET.encode()).digest(),
        "what seals are made of": Key(SECRET).derive("seal"),
    }
    return {**own, **{f"signed with {name}": forge(HEADER, claims, key) for name, key in keys.items()}}


def _own_keys() -> list[tuple[str, Any]]:
    return [(alg, key) for alg, key in _private_keys().items()]


def _kids(claims: Json) -> dict[str, str]:
    told: dict[str, Any] = {
        "a path": "../../../../dev/null",
        "a path to something known": "/proc/sys/kernel/ostype",
        "SQL": "' union select 'x' -- ",
        "a command": "key;sleep 10",
        "a URL": "https://evil.example/key.json",
        "null": None,
        "a number": 0,
        "true": True,
        "a list": [KID],
        "an object": {"kid": KID},
        "empty": "",
        "another key's id": Key(THEIRS).id,
        "ours in capitals": KID.upper() + "A",
        "ours and a space": f"{KID} ",
        "ours and a NUL": f"{KID}\x00",
    }
    ours = {f"kid is {name}": forge({**HEADER, "kid": kid}, claims) for name, kid in told.items()}
    theirs = {f"kid is {name}, empty key": forge({**HEADER, "kid": kid}, claims, "") for name, kid in told.items()}
    return {**ours, **theirs, "no kid": forge({"alg": "HS256", "typ": "JWT"}, claims)}


def _headers(claims: Json) -> dict[str, str]:
    jwk = {"kty": "oct", "k": encoded(THEIRS.encode()), "alg": "HS256", "kid": KID}
    brought: dict[str, Any] = {
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/cert.pem",
        "jwk": jwk,
        "x5c": ["MIIB"],
        "x5t": "abc",
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "cty": "JWT",
        "epk": jwk,
    }
    one = {f"{name} in the header": forge({**HEADER, name: value}, claims) for name, value in brought.items()}
    own = {f"{name} and its key": forge({**HEADER, name: brought[name]}, claims, THEIRS) for name in ("jku", "jwk")}
    crit = {"crit with b64": forge({**HEADER, "b64": False, "crit": ["b64"]}, claims)}
    other = {f"typ {typ!r}": forge({**HEADER, "typ": typ}, claims) for typ in ("JWE", "at+jwt", "jwt", None)}
    return {**one, **own, **crit, **other, "no typ": forge({"alg": "HS256", "kid": KID}, claims)}


def _wrong_claims(claims: Json) -> dict[str, str]:
    wrong: dict[str, list[Any]] = {
        "iss": ["somebody else", "", None, ["ticketing"], "Ticketing"],
        "aud": ["another-api", "", None, ["ticketing-api"], ["ticketing-api", "another"], {"ticketing-api": 1}],
        "typ": ["refresh", "Access", "", None, 7],
        "sub": ["admin", "", None, 7, [claims["sub"]], claims["sub"].upper() + "0", f"{{{claims['sub']}}}", "*"],
        "sid": ["", None, 7, "no session", claims["sid"].replace("-", ""), f"urn:uuid:{claims['sid']}"],
    }
    said = {f"{k} is {v!r}": forge(HEADER, {**claims, k: v}) for k, values in wrong.items() for v in values}
    left_out = {f"no {name}": forge(HEADER, {k: v for k, v in claims.items() if k != name}) for name in claims}
    return {**said, **left_out}


def _times(claims: Json) -> dict[str, str]:
    now = int(time.time())
    ends = [str(now + 900), now + 900.5, 10**30, None, True, [now + 900], "never", 1e308, now + 4000]
    begins = [now + 60, "now", 1.5, None, True]
    return {
        **{f"exp is {end!r}": forge(HEADER, {**claims, "exp": end}) for end in ends},
        **{f"iat is {begin!r}": forge(HEADER, {**claims, "iat": begin}) for begin in begins},
        "issued at the beginning of time": forge(HEADER, {**claims, "iat": 0}),
        "a life of a day": forge(HEADER, {**claims, "exp": now + 86_400}),
        **{f"nbf is {begin!r}": forge(HEADER, {**claims, "nbf": begin}) for begin in [now + 60, str(now), 0.5]},
        "exp is NaN": forge(HEADER, json.dumps({**claims, "exp": float("nan")}).encode()),
        "exp is infinite": forge(HEADER, json.dumps({**claims, "exp": float("inf")}).encode()),
        "exp has five thousand digits": forge(HEADER, b'{"exp":' + b"9" * 5000 + b"}"),
    }


def _doubles(claims: Json) -> dict[str, str]:
    body, head = json.dumps(claims)[1:], json.dumps(HEADER)[1:]
    return {
        "two subjects": forge(HEADER, f'{{"sub":"{uuid4()}",{body}'.encode()),
        "two ends": forge(HEADER, f'{{"exp":1,{body}'.encode()),
        "two algorithms": forge(f'{{"alg":"none",{head}'.encode(), claims),
        "two kids": forge(f'{{"kid":"other",{head}'.encode(), claims),
        "claims that are a list": forge(HEADER, b"[]"),
        "claims that are text": forge(HEADER, b'"access"'),
        "claims that are null": forge(HEADER, b"null"),
        "no claims at all": forge(HEADER, b""),
        "no JSON": forge(HEADER, b"{not json"),
        "other bytes than UTF-8": forge(HEADER, b'{"sub":"\xff"}'),
        "nested without end": forge(HEADER, b"[" * 500),
        "a header that is a list": forge(b'["HS256"]', claims),
        "a header that is no JSON": forge(b"HS256", claims),
        "a token inside a token": forge(HEADER, forge(HEADER, claims).encode()),
        "a signed token as its own key": forge({**HEADER, "kid": forge(HEADER, claims)[:40]}, claims),
    }


def _spellings(claims: Json) -> dict[str, str]:
    good = forge(HEADER, claims)
    head, body, signature = good.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # A lenient decoder ignores the two lowest bits of the last character.
    respelt = last[last.index(signature[-1]) ^ 1]
    other = forge(HEADER, {**claims, "sub": str(UUID(int=1))})
    spelt = {
        "no signature": f"{head}.{body}.",
        "no second dot": f"{head}.{body}",
        "one part": head,
        "only dots": "..",
        "four parts": f"{good}.{signature}",
        "five parts": f"{head}..{body}.{signature}.{signature}",
        "a part too many in front": f".{good}",
        "padding": f"{head}.{body}.{signature}=",
        "padding inside": f"{head}=.{body}.{signature}",
        "the last letter respelt": f"{head}.{body}.{signature[:-1]}{respelt}",
        "signature cut short": f"{head}.{body}.{signature[:-1]}",
        "signature of half a length": f"{head}.{body}.{signature[:21]}",
        "signature of another token": f"{head}.{body}.{other.split('.')[2]}",
        "body of another token": f"{head}.{other.split('.')[1]}.{signature}",
        "body in other letters": f"{head}.{body.swapcase()}.{signature}",
        "standard base64": f"{head}.{body}.{'+' + signature[1:]}",
        "a space inside": f"{head}. {body}.{signature}",
        "a tab inside": f"{head}.{body}\t.{signature}",
        "a comma and another": f"{good},{good}",
        "a semicolon after it": f"{good};",
        "quotes around it": f'"{good}"',
        "Bearer twice": f"Bearer {good}",
        "percent encoding": good.replace(".", "%2E"),
        "a fullwidth letter": f"{head}.{body}.\uff21{signature[1:]}",
        "Arabic digits": f"{head}.{body}.\u0661{signature[1:]}",
        "a no-break space after it": f"{good}\u00a0",
        "far too long": forge(HEADER, {**claims, "x": "x" * 3_000}),
        "a little too long": forge(HEADER, {**claims, "x": "x" * 800}),
        "a header that is too long": forge({**HEADER, "kid": KID * 100}, claims),
        "garbage": "garbage",
        "an integer": "1",
        "nothing but a signature": f"..{signature}",
    }
    return spelt
