"""Web origins, as a browser sends them: scheme, host and perhaps port, and nothing else (RFC 6454 §7)."""

from urllib.parse import urlsplit


def parse_origins(text: str) -> list[str]:
    """Origins, separated by commas.

    Raises:
        ValueError: one of them is none. `*` is none: it would be everybody.
    """
    origins = [part.strip() for part in text.split(",") if part.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        is_whole = parts.scheme in {"http", "https"} and parts.hostname and "*" not in origin and parts.username is None
        # A browser sends it in lower case, and it is compared as text.
        if not is_whole or origin != f"{parts.scheme}://{parts.netloc}".lower():
            raise ValueError(f"{origin} is not an origin")
    return origins
