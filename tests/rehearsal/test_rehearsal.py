"""`ticketing rehearse` on a running platform: a go, a no-go, and no rows left however it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.infra.config.test_production import GOOD
from tests.support import forking
from tests.support.platform import Platform, client, world  # noqa: F401 (fixtures are found by their names)
from tests.support.world import Show, World, data
from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import wait_for

SHORT = ("--ramp-seconds", "1", "--herd-seconds", "1", "--think-seconds", "0.5", "--hold-seconds", "5", "--tries", "3")
#: The machine is busy with other tests, so its speed must not decide the result.
LENIENT = ("--max-p99-seconds", "60", "--max-503-share", "1", "--max-lag-seconds", "60", "--limit-seconds", "60")


def variables(platform: Platform) -> dict[str, str]:
    return {**os.environ, "DATA_DIR": str(platform.folder), "MOCK_WEBHOOK_SECRET": "whsec for tests"}


def start(platform: Platform, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "ticketing.cli", "rehearse", *arguments, "--url", platform.url],
        cwd=platform.folder,
        env=variables(platform),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rehearse(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forking.run(
        "ticketing.cli",
        "rehearse",
        *arguments,
        "--url",
        platform.url,
        cwd=platform.folder,
        env=variables(platform),
        timeout=200,
    )


def left_behind(platform: Platform) -> dict[str, int]:
    """The number of rows by table that belong to a rehearsal or to an organization that does not exist."""
    tables = platform.query(
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid where a.attname = 'organization_id'"
        " and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
        " and c.relname <> 'outbox'"
    )
    real = "select id from organizations where slug not like '~%'"
    asked = {str(name): f"{name} where organization_id not in ({real})" for (name,) in tables}
    asked["organizations"] = "organizations where slug like '~%'"
    asked["users"] = "users where email like 'rehearsal-%'"
    asked["payment_events"] = (
        "payment_events e where not exists (select from payments p where p.provider_ref = e.provider_ref)"
    )
    asked["idempotency_keys"] = (
        "idempotency_keys where caller like 'user:%' and caller not in (select 'user:' || id from users)"
    )
    counts = {name: platform.query(f"select count(*) from {rows}")[0][0] for name, rows in asked.items()}
    return {name: int(str(count)) for name, count in counts.items() if count}


async def a_show(world: World) -> Show:  # noqa: F811 (the fixture)
    """An event with 42 seats and 30 places, of which some are sold, blocked or held."""
    show, buyer = (
        await world.show(rows=3, seats=14, capacity=30, title="<b>Rock</b> & [bold]roll"),
        await world.person(),
    )
    await world.buy(buyer, show, "Stalls-A-1", items=[{"ticket_type_id": show.area_type_id, "quantity": 3}])
    await world.hold(buyer, show, "Stalls-A-2")
    data(await show.tenant.admin.post(show.path("/seats/block"), {"seats": ["Stalls-C-14"]}))
    return show


async def test_a_rehearsal_is_a_go_and_leaves_nothing(
    platform: Platform,
    world: World,  # noqa: F811
    client: httpx2.AsyncClient,  # noqa: F811
    tmp_path: Path,
) -> None:
    show = await a_show(world)
    seats_before = data(await client.get(f"/api/v1/events/{show.id}/availability"))["seats"]
    files = ("--report", str(tmp_path / "page.html"), "--json", str(tmp_path / "numbers.json"))
    ended = rehearse(platform, "--event", show.id, "--buyers", "60", "--replay-share", "0.5", *SHORT, *LENIENT, *files)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "for sale, 60 buyers" in ended.stdout
    assert "log behind" in ended.stdout, "no line was printed during the sale"
    assert ended.stdout.rstrip().endswith("GO")
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    check_numbers(numbers)
    check_page((tmp_path / "page.html").read_text(), numbers)
    assert left_behind(platform) == {}
    assert data(await client.get(f"/api/v1/events/{show.id}/availability"))["seats"] == seats_before


def check_numbers(numbers: dict[str, Any]) -> None:
    assert numbers["verdict"] == "go"
    # One seat is sold, one is blocked, three places are sold: the copy sells the rest, including held seats.
    assert numbers["for_sale"] == 42 - 2 + 30 - 3
    assert numbers["buyers"] == sum(numbers["ends"].values()) == 60
    assert numbers["ends"]["bought"] > 10
    assert 0 < numbers["sold"] <= numbers["for_sale"]
    assert numbers["answers"]["hold 201"] == numbers["holds"] == sum(numbers["holds_by_second"].values())
    assert numbers["answers"]["repeat 201"] > 0
    assert numbers["limits"] == "off"
    assert numbers["wrongs"] == {}
    assert 0 < numbers["seconds"]["hold"]["p50"] <= numbers["seconds"]["hold"]["p99"]


def check_page(page: str, numbers: dict[str, Any]) -> None:
    assert "&lt;b&gt;Rock&lt;/b&gt; &amp; [bold]roll" in page
    assert "<b>Rock" not in page
    assert '<p class="verdict go">GO</p>' in page
    assert all(word not in page for word in ("http://", "https://", "src=", "<script", "@import", "url("))
    for rule in numbers["rules"]:
        assert rule["is_kept"]


async def test_a_contradiction_in_the_data_is_a_no_go(platform: Platform, world: World) -> None:  # noqa: F811
    show = await world.show(seats=0, capacity=20)
    wrong = await world.show(seats=0, capacity=20)
    platform.query(f"update ticket_types set held = 7 where id = '{wrong.area_type_id}' returning id")
    try:
        ended = rehearse(platform, "--event", show.id, "--buyers", "5", *SHORT, *LENIENT)
    finally:
        platform.query(f"update ticket_types set held = 0 where id = '{wrong.area_type_id}' returning id")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stdout.rstrip().endswith("NO-GO")
    assert str(wrong.area_type_id) in ended.stdout
    assert left_behind(platform) == {}


async def test_what_a_killed_rehearsal_leaves_is_removed_later(platform: Platform, world: World) -> None:  # noqa: F811
    show = await a_show(world)
    process = begin(platform, show)
    process.kill()
    process.communicate()
    assert wait_for(lambda: not load_processes(platform), 30), "the load processes outlive their parent"
    remains = left_behind(platform)
    assert remains["users"] == 41
    assert remains["event_seats"] == 42
    ended = rehearse(platform, "--clean")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 rehearsal removed." in ended.stdout
    assert left_behind(platform) == {}
    assert "There was nothing to remove." in rehearse(platform, "--clean").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_a_stopped_rehearsal_removes_what_it_had_created(
    platform: Platform,
    world: World,  # noqa: F811
    number: signal.Signals,
) -> None:
    process = begin(platform, await a_show(world))
    process.send_signal(number)
    _, result = process.communicate(timeout=120)
    assert process.returncode == 1
    assert result == "ticketing: the rehearsal was stopped, and what it had created is removed\n"
    assert not load_processes(platform)
    assert left_behind(platform) == {}


def begin(platform: Platform, show: Show) -> "subprocess.Popen[str]":
    """Start a rehearsal, and wait until seats are held in it."""
    process = start(platform, "--event", show.id, "--buyers", "40", *SHORT, "--think-seconds", "20", *LENIENT)
    scratch = "select id from organizations where slug like '~%'"
    sold = f"select 1 from reservations where organization_id in ({scratch})"
    assert wait_for(lambda: bool(platform.query(sold)) or process.poll() is not None, 60)
    assert process.poll() is None, process.communicate()
    return process


def load_processes(platform: Platform) -> list[int]:
    """The running load processes of rehearsals of this platform."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"ticketing.rehearsal.load.process_main" in (entry / "cmdline").read_bytes() and _is_at(entry, platform):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _is_at(entry: Path, platform: Platform) -> bool:
    return f"DATA_DIR={platform.folder}".encode() in (entry / "environ").read_bytes()


async def test_a_draft_without_anything_to_sell_is_refused(platform: Platform, world: World) -> None:  # noqa: F811
    show = await world.show(seats=0, publish=False)
    ended = rehearse(platform, "--event", show.id, *SHORT)
    assert (ended.returncode, ended.stderr.startswith("ticketing: --event: nothing of it can be sold")) == (2, True)
    assert left_behind(platform) == {}


async def test_an_unknown_event_is_refused(platform: Platform) -> None:
    unknown = "01890000-0000-7000-8000-000000000000"
    ended = rehearse(platform, "--event", unknown)
    assert (ended.returncode, ended.stderr) == (2, f"ticketing: --event: there is no event {unknown}\n")
    assert left_behind(platform) == {}


async def test_a_jwt_secret_other_than_the_platforms_is_reported(platform: Platform, world: World) -> None:  # noqa: F811
    show = await world.show(seats=0, capacity=5)
    before, os.environ["JWT_SECRET"] = os.environ["JWT_SECRET"], "another secret that is long enough as well"
    try:
        ended = rehearse(platform, "--event", show.id, "--buyers", "2", *SHORT)
    finally:
        os.environ["JWT_SECRET"] = before
    assert (ended.returncode, ended.stderr.startswith("ticketing: JWT_SECRET here is not")) == (1, True)
    assert left_behind(platform) == {}


async def test_an_unreachable_platform_is_named(platform: Platform) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    begun = time.monotonic()
    there, platform = platform, Platform(nowhere, platform.folder, platform.process)
    ended = rehearse(platform, "--event", "01890000-0000-7000-8000-000000000000")
    assert (ended.returncode, nowhere in ended.stderr) == (1, True)
    assert time.monotonic() - begun < 30
    assert left_behind(there) == {}


WRONG = {
    "no event": (["--event", ""], "--event: must be the ID of an event"),
    "no id": (["--event", "tonight"], "--event: must be the ID of an event"),
    "no buyers": (["--buyers", "0"], "--buyers: must lie between 1 and 100000"),
    "a million": (["--buyers", "1000000"], "--buyers: must lie between 1 and 100000"),
    "a share": (["--abandon-share", "1.5"], "--abandon-share: must lie between 0 and 1"),
    "shares": (["--abandon-share", "0.7", "--cancel-share", "0.7"], "--abandon-share and --cancel-share"),
    "not a number": (["--max-p99-seconds", "nan"], "--max-p99-seconds: must lie between"),
    "a folder": (["--report", "/nowhere/page.html"], "/nowhere/page.html: its folder does not exist"),
    "a url": (["--url", "ftp://127.0.0.1"], "--url: must start with http"),
    "both": (["--clean"], "--clean: comes without --event"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_reported_in_one_sentence(tmp_path: Path, case: str) -> None:
    arguments, sentence = WRONG[case]
    result = alone(tmp_path, "--event", "01890000-0000-7000-8000-000000000000", *arguments)
    assert sentence in result.stderr
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_an_unreachable_database_is_reported(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/ticketing"
    result = alone(tmp_path, "--clean", DATABASE_URL=url)
    assert (result.returncode, result.stderr) == (1, "ticketing: the database does not answer, or has no tables yet\n")
    result = alone(tmp_path, "--clean")
    assert (result.returncode, result.stderr.startswith("ticketing: DATABASE_URL: must name a database")) == (2, True)


def test_a_role_that_sees_one_tenant_is_refused(tmp_path: Path, settings: Any) -> None:
    result = alone(tmp_path, "--clean", DATABASE_URL=settings.database_url)
    assert (result.returncode, "must name a role of ticketing_workers" in result.stderr) == (2, True)


def test_production_requires_a_confirmation(tmp_path: Path) -> None:
    variables = {**GOOD, "MOCK_WEBHOOK_SECRET": ""}
    result = alone(tmp_path, "--event", "01890000-0000-7000-8000-000000000000", **variables)
    assert (result.returncode, result.stderr.startswith("ticketing: --on-production: required")) == (2, True), (
        result.stderr
    )


def alone(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command without a platform."""
    return forking.run("ticketing.cli", "rehearse", *arguments, cwd=folder, env={**os.environ, **variables})
