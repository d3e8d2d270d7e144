"""The sender of emails dies after the mail server accepted one: it may be sent twice with one id, and none is lost."""

from collections import Counter

from fastapi import FastAPI

from tests.crashes.processes import Processes
from tests.modules.notifications.conftest import settings, smtp
from tests.modules.notifications.smtp_server import SmtpServer
from tests.modules.payments.purchases import rows
from tests.support.platform import eventually
from tests.support.world import World

__all__ = ["settings", "smtp"]


async def test_an_email_whose_sender_died_is_sent_again_with_the_same_message_id(
    app: FastAPI, world: World, processes: Processes, smtp: SmtpServer
) -> None:
    people = [await world.person() for _ in range(3)]
    await processes.wait_for_crash(await processes.worker("consumers", "after_letter_before_inbox:2"))
    assert len(smtp.emails) == 2
    await processes.worker("consumers")

    async def all_is_done() -> bool:
        return len(await rows(app, "select from inbox where consumer = 'notifications'")) == 3

    assert await eventually(all_is_done)
    assert Counter(letter["To"] for letter in smtp.emails) == Counter(
        {people[0].email: 1, people[1].email: 2, people[2].email: 1}
    )
    assert len({letter["Message-ID"] for letter in smtp.emails}) == 3
