"""Which published events have the words of a search, and how well: in any case, without accents, with typing errors.

PostgreSQL folds words and texts by one function, `search_fold`, so that both sides have the same form.
"""

import re
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Text, bindparam, column, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.formats.typing_errors import is_near

#: Matches that are ranked. A search with more is for something that many events have, and they come by time.
MATCHES_MAX = 1_000
#: Similar events are looked for when no more than this many events have the words.
SIMILAR_BELOW = 20
SIMILAR_MAX = 100
#: Words of a search; further ones are ignored.
WORDS_MAX = 12


class Rank(IntEnum):
    """How well an event matches; better ones come first."""

    #: The title is what was searched for.
    EXACT = 0
    #: The title begins with it.
    PREFIX = 1
    #: Title, venue and city together have all the words.
    WORDS = 2
    #: The same, but for typing errors.
    SIMILAR = 3


class Matches(NamedTuple):
    """The ranks of matching events by id; None if there are too many, which the patterns select in another way."""

    ranks: dict[UUID, Rank] | None
    patterns: list[str]


async def match_events(session: AsyncSession, searched: str) -> Matches:
    """Find the published events for a text that was searched for."""
    words = await _fold(session, searched)
    if not words:
        return Matches({}, [])
    # The index serves the first pattern, and the longest one has the fewest matches.
    patterns = sorted(map(_pattern, words), key=len, reverse=True)
    found = func.search_events(bindparam("patterns", patterns, ARRAY(Text)), MATCHES_MAX + 1)
    rows = await _select(session, found)
    if len(rows) > MATCHES_MAX:
        return Matches(None, patterns)
    phrase = " ".join(words)
    ranks = {event_id: _rank(text, phrase) for event_id, text in rows}
    if len(rows) <= SIMILAR_BELOW:
        for event_id, text in await _select(session, func.similar_events(phrase, SIMILAR_MAX)):
            if event_id not in ranks and all(is_near(word, text) for word in words):
                ranks[event_id] = Rank.SIMILAR
    return Matches(ranks, patterns)


async def _fold(session: AsyncSession, searched: str) -> list[str]:
    words = searched.split()[:WORDS_MAX]
    folded = await session.scalars(select(func.search_fold(func.unnest(bindparam("words", words, ARRAY(Text))))))
    return [word for word in folded if word]


async def _select(session: AsyncSession, found: object) -> list[tuple[UUID, str]]:
    matches = found.table_valued(column("event_id"), column("found"))  # type: ignore[attr-defined]
    return [(row.event_id, row.found) for row in await session.execute(select(matches))]


def _pattern(word: str) -> str:
    """A pattern for LIKE. One or two letters count at the beginning of a word only, where the index knows them.

    Characters of scripts without blanks between words are words of their own.
    """
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    is_beginning = (len(word) <= 2 and word.isalnum()) or " " in word
    return f"% {escaped}%" if is_beginning else f"%{escaped}%"


def _rank(text: str, phrase: str) -> Rank:
    title = text.partition("\n")[0].strip()
    if title == phrase:
        return Rank.EXACT
    return Rank.PREFIX if title.startswith(phrase) else Rank.WORDS
