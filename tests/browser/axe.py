"""Accessibility checks with axe."""

from importlib.resources import files
from typing import Any

from playwright.async_api import Page

SCRIPT = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SERIOUS_IMPACTS = ("serious", "critical")


async def serious_violations(page: Page) -> list[str]:
    """List the violations that axe rates serious or critical, with rule, element and suggested fix."""
    # Evaluated instead of added as a script element, which the content security policy blocks.
    await page.evaluate(SCRIPT)
    result: dict[str, Any] = await page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in SERIOUS_IMPACTS
        for node in violation["nodes"]
    ]


async def assert_accessible(page: Page) -> None:
    """Fail if axe finds a serious or critical violation."""
    assert not (found := await serious_violations(page)), "\n".join(found)
