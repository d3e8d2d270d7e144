"""Web origins as browsers send them: scheme, host and optional port, and nothing else (RFC 6454 §7)."""

from urllib.parse import urlsplit


def parse_origins(text: str) -> list[str]:
    """Parse origins separated by commas.

    Raises:
        ValueError: one of them is not an origin. `*` is not one: it would allow every site.
    """
    origins = [part.strip() for part in text.split(",") if part.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        is_valid = parts.scheme in {"http", "https"} and parts.hostname and "*" not in origin and parts.username is None
        # Browsers send it in lower case, and it is compared as text.
        if not is_valid or origin != f"{parts.scheme}://{parts.netloc}".lower():
            raise ValueError(f"{origin} is not an origin")
    return origins
