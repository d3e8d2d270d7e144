"""Every generated page of docs/, by file name, with the function that makes its new text from its present one."""

from collections.abc import Callable

import orjson

from ticketing.docgen import (
    architecture_page,
    configuration_page,
    errors_page,
    message_shapes,
    messages_page,
    metrics_page,
    permissions_page,
)


def _message_shapes(text: str) -> str:
    """Raises ValueError when a published shape would change."""
    return message_shapes.write(message_shapes.extend(orjson.loads(text), message_shapes.kinds())).decode()


#: Pages that keep nothing of their present text ignore it.
PAGES: dict[str, Callable[[str], str]] = {
    "architecture.md": architecture_page.render,
    "configuration.md": configuration_page.render,
    "errors.md": errors_page.render,
    "messages.json": _message_shapes,
    "messages.md": messages_page.render,
    "metrics.md": metrics_page.render,
    "security.md": permissions_page.write,
}
