"""Screen sizes and colour schemes in which the pages are checked."""

from typing import Any

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
VARIANTS = ("phone-light", "phone-dark", "desk-light", "desk-dark")


def context_options(variant: str) -> dict[str, Any]:
    """Playwright's options of a browser context for one of `VARIANTS`."""
    size, scheme = variant.split("-")
    phone = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    options = phone if size == "phone" else {"viewport": DESK}
    return {**options, "color_scheme": scheme, "reduced_motion": "reduce"}
