"""Settings of Python's garbage collector for long-running processes: fewer collections than by default."""

import gc

#: Thresholds of the three generations. The default first one, 700 objects, is a few requests or a part of a page of the
#: outbox log. Collections took 6 % of the time of a hold and 8 % of the relay's reading thread, and blocked everything
#: else meanwhile.
THRESHOLDS = (20_000, 20, 20)


def pause() -> None:
    """Stop collecting while a process imports its code, none of which is garbage: that saves a seventh of the time."""
    gc.disable()


def rest() -> None:
    """Resume when everything is imported. Existing objects stay as long as the process, and are never scanned again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
