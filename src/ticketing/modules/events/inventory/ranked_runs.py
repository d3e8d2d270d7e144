"""All runs of a length in a plan, best first, so that the best of any subset is found without sorting or adding.

Made once per plan and length. Runs are named by the bit of their first seat. They are kept in bands of similar cost,
each with a bitmap: a few integer operations find the band of the answer, and only this band is searched run by run.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Bands per plan, and the fewest runs in one.
BANDS, BAND_MIN = 32, 64


class _Band(NamedTuple):
    mask: int
    #: Best first.
    starts: "array[int]"


class RankedRuns:
    """The runs of `length` seats. A run costs the sum of its seats."""

    def __init__(self, spans: Iterable[range], sums: Sequence[int], length: int) -> None:
        """`spans` are the bits of the plan's runs, in order; `sums[n]` is the cost of all bits below n."""
        self.length, self._sums = length, sums
        starts = [start for span in spans for start in span[: max(0, len(span) - length + 1)]]
        starts.sort(key=self.cost)  # stable: of equal ones, the first in the plan comes first
        size = max(BAND_MIN, -(-len(starts) // BANDS))
        bands = (starts[first : first + size] for first in range(0, len(starts), size))
        self._bands = [_Band(bits_of(band), array("I", band)) for band in bands]

    def cost(self, start: int) -> int:
        """The costs of the seats of a run, added up."""
        return self._sums[start + self.length] - self._sums[start]

    def best(self, starts: int, limit: float) -> int | None:
        """The best of the runs whose bits are set, unless all cost `limit` or more; None if there is none."""
        for mask, ordered in self._bands:
            if self.cost(ordered[0]) >= limit:
                return None
            if found := starts & mask:
                flags = flags_of(found)
                return next(start for start in ordered if is_set(flags, start))
        return None


def bits_of(positions: Iterable[int]) -> int:
    """The integer with these bits set."""
    listed = list(positions)
    flags = bytearray(max(listed, default=0) // 8 + 1)
    for bit in listed:
        flags[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(flags, "little")


def flags_of(bits: int) -> bytes:
    """The bits as bytes, for many look-ups: shifting a large integer copies it."""
    return bits.to_bytes(bits.bit_length() // 8 + 1, "little")


def is_set(flags: bytes, bit: int) -> bool:
    """Whether a bit of `flags_of` is set, or False beyond its end."""
    return 0 <= bit >> 3 < len(flags) and bool(flags[bit >> 3] >> (bit & 7) & 1)


def positions_of(bits: int) -> list[int]:
    """The set bits, in order."""
    flags = flags_of(bits)
    return [index * 8 + bit for index, byte in enumerate(flags) if byte for bit in range(8) if byte >> bit & 1]
