"""How often Python's garbage collector looks at what a process holds: less often than it would by itself."""

import gc

#: Objects that have come and not gone before the collector looks at the young ones, and how often older ones come in.
#: Its usual 700 are a few requests, or a part of a page of the log: it took 6 % of the time of a hold, and 8 % of that
#: of the thread in which the relay reads. Everybody waited while it looked.
COLLECT_AFTER = (20_000, 20, 20)


def pause() -> None:
    """Before a process loads its code, all of which stays: to look through it meanwhile is a seventh of that time."""
    gc.disable()


def rest() -> None:
    """Once, when everything is loaded: what is there by now stays as long as the process, and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()
