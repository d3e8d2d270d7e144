"""Finds the Chromium that the browser tests drive, and says where their screenshots go."""

import os
import shutil
from pathlib import Path

from tests.support.machine import skip_or_fail

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "artifacts"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A test's browser has no graphics card and nobody to greet, and asks nothing of any server but ours.
ALONE = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """CHROMIUM_PATH wins; else the first known name on the PATH."""
    chosen = os.environ.get("CHROMIUM_PATH")
    return chosen or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def chromium_or_skip() -> str:
    """The path of Chromium. Skips where there is none, and fails there with CI=true."""
    chromium = find_chromium()
    if chromium is None:
        skip_or_fail("the browser tests need Chromium (package chromium, or CHROMIUM_PATH)")
    return chromium


def launch_arguments() -> list[str]:
    """Chromium refuses its own sandbox as root, and a small /dev/shm, as containers have it, crashes its pages."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return [*sandbox, "--disable-dev-shm-usage", *ALONE]


def screenshot_path(name: str) -> Path:
    """Where the screenshot `name` is kept as an artifact of the build; the folder is made and git ignores it."""
    folder = ARTIFACTS / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"
