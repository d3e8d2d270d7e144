"""No client of another server can be called while a transaction is open, whatever it is used for."""

import ast
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import text

from ticketing.infra import redis
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import consumer, lag, producer
from ticketing.infra.kafka.client import ensure_topics
from ticketing.infra.mail import OutgoingEmail, SmtpMailer, TerminalMailer
from ticketing.infra.redis.commit_notifications import CommitNotifier
from ticketing.infra.system.outside_calls import TransactionOpen, assert_no_transaction
from ticketing.modules.health import checks
from ticketing.modules.payments import Payment, Refund, mock, providers
from ticketing.modules.webhooks import Sender, SsrfGuard
from ticketing.modules.webhooks.delivery import ssrf_guard

SOURCE = Path(providers.__file__).parents[2]

#: Nothing listens there; a client that is called all the same fails with another error.
NOWHERE = "127.0.0.1:1"
EMAIL = OutgoingEmail("test", "a@example.org", "Subject", "Text", "<p>Text</p>")


def smtp(settings: Settings) -> Awaitable[object]:
    return SmtpMailer(f"smtp://{NOWHERE}", "b@example.org").send(EMAIL, uuid4())


def terminal(settings: Settings) -> Awaitable[object]:
    return TerminalMailer().send(EMAIL, uuid4())


def redis_command(settings: Settings) -> Awaitable[object]:
    return redis.connect(settings).ping()


def redis_pipeline(settings: Settings) -> Awaitable[object]:
    return redis.connect(settings).pipeline().ping().execute()


def redis_for_limits(settings: Settings) -> Awaitable[object]:
    return redis.connect_for_limits(settings).ping()


def redis_subscription(settings: Settings) -> Awaitable[object]:
    return redis.connect(settings).pubsub().subscribe("outbox")


def kafka_producer(settings: Settings) -> Awaitable[object]:
    return producer.KafkaProducer(NOWHERE, "test").publish([])


def kafka_topics(settings: Settings) -> Awaitable[object]:
    return ensure_topics(NOWHERE, [], timeout_seconds=0)


def kafka_lag(settings: Settings) -> Awaitable[object]:
    return asyncio.to_thread(lag.measure, NOWHERE, {})


def kafka_health(settings: Settings) -> Awaitable[object]:
    return asyncio.to_thread(checks._list_brokers, NOWHERE)


def kafka_consumer(settings: Settings) -> Awaitable[object]:
    return consumer._Consumer._call(None, lambda: None)  # type: ignore[arg-type]


def webhook_sender(settings: Settings) -> Awaitable[object]:
    return Sender(SsrfGuard(allow_private=True)).send(f"http://{NOWHERE}/", {}, "")


def webhook_connection(settings: Settings) -> Awaitable[object]:
    return SsrfGuard(allow_private=True).connect_tcp("127.0.0.1", 1)


def resolver(settings: Settings) -> Awaitable[object]:
    return ssrf_guard.resolve("localhost", 1)


def mock_provider(settings: Settings) -> Awaitable[object]:
    return mock.MockProvider("secret", (f"http://{NOWHERE}",)).pay(Payment(id=uuid4()))


def start_at_provider(settings: Settings) -> Awaitable[object]:
    return providers.start(mock.MockProvider("secret", ()), Payment(id=uuid4()))


def refund_at_provider(settings: Settings) -> Awaitable[object]:
    return providers.send_refund(mock.MockProvider("secret", ()), Refund(id=uuid4()), Payment(id=uuid4()))


CLIENTS: tuple[Callable[[Settings], Awaitable[object]], ...] = (
    *(smtp, terminal, redis_command, redis_pipeline, redis_for_limits, redis_subscription),
    *(kafka_producer, kafka_topics, kafka_lag, kafka_health, kafka_consumer),
    *(webhook_sender, webhook_connection, resolver, mock_provider, start_at_provider, refund_at_provider),
)


async def test_every_client_refuses_to_be_called_while_a_transaction_is_open(
    database: Database, settings: Settings
) -> None:
    refused = []
    async with database.transaction() as session:
        await session.execute(text("select 1"))
        for client in CLIENTS:
            with pytest.raises(TransactionOpen, match=r".+ was called while a transaction is open"):
                await client(settings)
            refused.append(client)
    assert len(refused) == len(CLIENTS)


async def test_a_call_is_allowed_before_the_first_statement_and_after_the_commit(database: Database) -> None:
    async with database.transaction() as session:
        assert_no_transaction("it")  # no connection has been taken from the pool
        await session.execute(text("select 1"))
        with pytest.raises(TransactionOpen, match="it was called"):
            assert_no_transaction("it")
        async with database.transaction():
            with pytest.raises(TransactionOpen):
                assert_no_transaction("it")
    assert_no_transaction("it")


async def test_a_task_is_bound_by_the_transaction_that_started_it_until_its_end(database: Database) -> None:
    go_on, results = asyncio.Event(), []

    async def outlive() -> None:
        results.append(is_allowed())
        await go_on.wait()
        results.append(is_allowed())

    async with database.transaction() as session:
        await session.execute(text("select 1"))
        task = asyncio.create_task(outlive())
        await asyncio.sleep(0)
        assert await asyncio.to_thread(is_allowed) is False
    go_on.set()
    await task
    assert results == [False, True]


def is_allowed() -> bool:
    try:
        assert_no_transaction("it")
    except TransactionOpen:
        return False
    return True


async def test_the_notifier_is_not_bound_by_the_task_that_woke_it(app: FastAPI, database: Database) -> None:
    """A second transaction of a task commits while the first one is open: its notification is sent."""
    notifier = CommitNotifier(app.state.get(Redis))
    async with database.transaction() as session:
        await session.execute(text("select 1"))
        notifier.send([], ["order.paid"])
    await notifier.close()


#: Libraries that open connections.
LIBRARIES = {"httpx2", "httpcore2", "aiosmtplib", "smtplib", "socket", "redis", "confluent_kafka", "urllib.request"}
LIBRARIES |= {"http.client", "ftplib", "telnetlib", "requests", "aiohttp", "anyio", "subprocess"}
#: Files that use a name of a library and open no connection that is not guarded elsewhere.
NO_CLIENTS = {
    "infra/embedded": "starts and probes this machine's own servers, before there is a database",
    "infra/http/close_delimited.py": "resets a connection of a client",
    "infra/http/rate_limiter.py": "uses a client of infra/redis",
    "infra/http/server.py": "listens",
    "infra/kafka/dead_letters.py": "names of types",
    "infra/kafka/membership.py": "called by infra/kafka/consumer.py only",
    "infra/kafka/partition_queues.py": "names of types",
    "infra/kafka/records.py": "names of types",
    "infra/outbox/lease_owner.py": "the name of this host",
    "infra/redis/__init__.py": "names of errors",
    "infra/redis/commit_notifications.py": "uses a client of infra/redis",
    "infra/system/ports.py": "looks for free ports",
    "infra/system/retry.py": "names of errors",
    "infra/db/driver/connection.py": "shuts down connections to Postgres",
    "modules/realtime": "uses a client of infra/redis",
    "modules/webhooks/endpoints.py": "parses URLs",
    "modules/webhooks/url_policy.py": "parses URLs",
    "workers/consumers.py": "uses a client of infra/redis",
    "workers/lag_metrics.py": "names of errors",
}
#: What else opens connections: with autocommit, or inside a `transaction_scope`.
BEGIN = {
    "infra/bus/redelivery.py": "AUTOCOMMIT",
    "infra/group_commit/group_commit.py": "committer.commit(",
    "infra/group_commit/transaction.py": "transaction_scope",
    "infra/outbox/reader.py": "AUTOCOMMIT",
    "modules/health/alerts.py": "AUTOCOMMIT",
    "modules/health/checks.py": "probe",
}


def files() -> dict[str, str]:
    folders = ("infra", "modules", "workers")
    found = {
        path.relative_to(SOURCE).as_posix(): path for folder in folders for path in (SOURCE / folder).rglob("*.py")
    }
    return {name: path.read_text(encoding="utf-8") for name, path in found.items()}


def imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names | {name.partition(".")[0] for name in names}


def unguarded(sources: dict[str, str]) -> list[str]:
    """Files that use a library of connections and do not call the guard."""
    return [
        name
        for name, source in sources.items()
        if imported(source) & LIBRARIES or "open_connection(" in source or "create_connection(" in source
        if "assert_no_transaction(" not in source
        if not any(name == known or name.startswith(f"{known}/") for known in NO_CLIENTS)
    ]


def test_every_file_that_opens_connections_calls_the_guard() -> None:
    sources = files()
    assert unguarded(sources) == []
    assert unguarded({"modules/x/client.py": "import httpx2\n"}) == ["modules/x/client.py"]
    assert [known for known in NO_CLIENTS if not any(name.startswith(known) for name in sources)] == []


def test_no_transaction_begins_unseen() -> None:
    unseen = [
        name
        for name, source in files().items()
        if any(begin in source for begin in (".connect() as", ".begin() as", ".begin():", "_sessions("))
        if name != "infra/db/session.py" and BEGIN.get(name, "-") not in source
    ]
    assert unseen == []


def test_providers_are_called_through_the_guard_only() -> None:
    calls: list[Any] = [
        name
        for name, source in files().items()
        if name != "modules/payments/providers.py" and ("provider.start(" in source or "provider.refund(" in source)
    ]
    assert calls == []
