"""A letter is with the mail server and its sender dies: it may come twice, as one letter, and no other is left out."""

from collections import Counter

from fastapi import FastAPI

from tests.crashes.stage import Stage
from tests.modules.notifications.conftest import box, settings
from tests.modules.notifications.post_office import Box
from tests.modules.payments.till import rows
from tests.support.platform import eventually
from tests.support.world import World

__all__ = ["box", "settings"]


async def test_a_letter_whose_sender_died_comes_again_as_the_same_letter(
    app: FastAPI, world: World, stage: Stage, box: Box
) -> None:
    people = [await world.person() for _ in range(3)]
    await stage.dies(await stage.worker("consumers", "after_letter_before_inbox:2"))
    assert len(box.letters) == 2
    await stage.worker("consumers")

    async def all_is_done() -> bool:
        return len(await rows(app, "select from inbox where consumer = 'notifications'")) == 3

    assert await eventually(all_is_done)
    assert Counter(letter["To"] for letter in box.letters) == Counter(
        {people[0].email: 1, people[1].email: 2, people[2].email: 1}
    )
    assert len({letter["Message-ID"] for letter in box.letters}) == 3
