"""docs/configuration.md and .env.example have the settings that there are, and no others."""

import re
from pathlib import Path

import pytest

from ticketing.docgen.configuration_page import GROUPS, descriptions, render
from ticketing.infra.config import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_does(name: str) -> None:
    assert descriptions()[name], f"{name} needs a `#:` comment above it"
    assert len(re.findall(rf"^\| `{name.upper()}` \|", render(), re.MULTILINE)) == 1


def test_every_group_begins_with_a_setting() -> None:
    names = list(Settings.model_fields)
    firsts = list(GROUPS.values())
    assert firsts[0] == names[0]
    assert [name for name in names if name in firsts] == firsts


def test_defaults_and_limits_have_their_units() -> None:
    page = render()
    assert "| `ACCESS_TOKEN_SECONDS` | `900` | 60 to 3600 s |" in page
    assert "| `SESSION_SECONDS_MAX` | `7776000` (90 days) | 3600 to 31536000 s |" in page
    assert "| `DATABASE_POOL_TIMEOUT_SECONDS` | `5` | above 0, up to 60 s |" in page
    assert "| `STREAM_FRAMES_PER_SECOND` | `4` | 1 to 50 per second |" in page
    assert "| `LOG_FORMAT` | `json` | `json`, `console` |" in page
    assert "| `METRICS_PORT` | unset | 1 to 65535 |" in page


def test_secrets_show_no_default() -> None:
    assert re.search(r"^\| `JWT_SECRET` \| unset \| secret text \|", render(), re.MULTILINE)


def test_the_example_has_only_variables_that_are_read() -> None:
    known = {name.upper() for name in Settings.model_fields} | set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    named = re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE)
    assert len(named) > 20
    assert [name for name in named if name not in known] == []
    assert len(named) == len(set(named))


def test_the_example_is_accepted_as_it_stands(tmp_path: Path) -> None:
    """With every comment sign taken away, for each line that has a value."""
    lines = re.findall(r"^#([A-Z_]+=.+)$", EXAMPLE, re.MULTILINE)
    file = tmp_path / ".env"
    file.write_text("\n".join(lines))
    settings = Settings(_env_file=file)  # type: ignore[call-arg]
    assert settings.mail_from == "Ticketing <tickets@example.com>"


def test_compose_sets_only_settings_that_exist() -> None:
    block = COMPOSE.partition("environment: &environment\n")[2].partition("\nservices:")[0]
    assert {name for name in re.findall(r"^    ([A-Z_]+):", block, re.MULTILINE)} <= {
        name.upper() for name in Settings.model_fields
    }
