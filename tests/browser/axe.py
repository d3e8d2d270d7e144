"""Asks axe, the accessibility checker, what is wrong with a page."""

from importlib.resources import files
from typing import Any

from playwright.async_api import Page

SCRIPT = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
GRAVE = ("serious", "critical")


async def grave_findings(page: Page) -> list[str]:
    """What axe calls serious or critical: the rule, the element, and what to do."""
    # Evaluated rather than added as a script, which our content security policy would refuse with good reason.
    await page.evaluate(SCRIPT)
    result: dict[str, Any] = await page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {finding['id']} at {node['target']}: {node['failureSummary']}"
        for finding in result["violations"]
        if finding["impact"] in GRAVE
        for node in finding["nodes"]
    ]
