"""Slugs: parts of addresses, derived from names in any script."""

import re
import unicodedata

LENGTH_MAX = 63

#: Letters that do not decompose into a Latin letter and marks, each followed by its Latin letters. Cyrillic and Greek
#: as English texts write them.
_LETTERS = """
æae œoe øo đd ðd þth łl ħh ıi ŋn
аa бb вv гg дd еe жzh зz иi кk лl мm нn оo пp рr сs тt уu фf хkh цts чch шsh щshch ъ ыy ь эe юyu яya іi јj љlj њnj ћc ђdj
αa βv γg δd εe ζz ηi θth ιi κk λl μm νn ξx οo πp ρr σs τt υy φf χch ψps ωo"""  # noqa: RUF001, E501
_LATIN = str.maketrans({letters[0]: letters[1:] for letters in _LETTERS.split()})
_APOSTROPHES = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}]")


def slug_of(name: str) -> str:
    """A slug of up to LENGTH_MAX characters: `Köln` is `koln`. Empty for a name without a letter that is known here."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(part for part in parts if not unicodedata.combining(part)).translate(_LATIN)
    words = re.sub("[^a-z0-9]+", "-", _APOSTROPHES.sub("", letters)).strip("-")
    return words[:LENGTH_MAX].rstrip("-")
