"""Words that differ by a typing error: a letter too many, too few, wrong, or in the place of its neighbour."""

#: Letters of a word from which on it may have one error, and two. Shorter words have too many neighbours.
ONE_ERROR_FROM, TWO_ERRORS_FROM = 4, 8


def is_near(typed: str, text: str) -> bool:
    """Whether the text contains the typed word, or one of its words or their beginnings is it but for typing errors.

    Numbers have no typing errors: 2027 is not 2026.
    """
    if typed in text:
        return True
    if len(typed) < ONE_ERROR_FROM or not typed.isalpha():
        return False
    errors = 2 if len(typed) >= TWO_ERRORS_FROM else 1
    return any(
        _is_within(typed, beginning, errors)
        for word in text.split()
        for beginning in {word, word[: len(typed)], word[: len(typed) + 1]}
    )


def _is_within(one: str, other: str, errors: int) -> bool:
    return abs(len(one) - len(other)) <= errors and distance(one, other) <= errors


def distance(one: str, other: str) -> int:
    """Errors between two words: optimal string alignment."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, counterpart in enumerate(other):
            best = min(last[j] + (letter != counterpart), last[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and one[i - 1] == counterpart:
                best = min(best, before[j - 1] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]
