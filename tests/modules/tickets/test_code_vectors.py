"""The published test vectors and the published example agree with the platform's own codes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature

from ticketing.modules.tickets.codes import CodeClaims, InvalidCode, Keyring

DOCS = Path(__file__).parents[3] / "docs"
VECTORS = json.loads((DOCS / "ticket-code-vectors.json").read_text())
KEYRING = Keyring([bytes(range(32))])
REASONS = [pytest.param(vector["code"], id=vector["why"]) for vector in VECTORS["invalid"]]


@pytest.fixture(scope="module")
def read() -> Callable[[str, Any], tuple[UUID, UUID, int]]:
    """The function of the document, as a reader would copy it."""
    page = (DOCS / "integrations.md").read_text()
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def read(" in block]
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 (our own document)
    found: Callable[[str, Any], tuple[UUID, UUID, int]] = names["read"]
    return found


def test_the_keys_of_the_vectors_are_in_the_published_form() -> None:
    assert KEYRING.as_jwks() == {"keys": VECTORS["keys"]}


@pytest.mark.parametrize("vector", VECTORS["valid"])
def test_a_valid_vector_is_what_the_platform_signs(
    vector: dict[str, Any], read: Callable[[str, Any], tuple[UUID, UUID, int]]
) -> None:
    claims = CodeClaims(UUID(vector["ticket_id"]), UUID(vector["event_id"]), vector["version"])
    assert KEYRING.sign(claims) == vector["code"]
    assert KEYRING.read(vector["code"]) == claims
    assert read(vector["code"], VECTORS) == (claims.ticket_id, claims.event_id, claims.version)


@pytest.mark.parametrize("code", REASONS)
def test_an_invalid_vector_is_refused(code: str, read: Callable[[str, Any], tuple[UUID, UUID, int]]) -> None:
    with pytest.raises(InvalidCode):
        KEYRING.read(code)
    with pytest.raises((ValueError, InvalidSignature)):
        read(code, VECTORS)
