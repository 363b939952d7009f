"""Where a post stands at its platform, without its author's handle, and which post an address leads to."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

_X_HOSTS = frozenset({"x.com", "twitter.com", "mobile.twitter.com", "mobile.x.com", "m.twitter.com"})
_X_PATH = re.compile(r"/(?:i|i/web|\w+)/status(?:es)?/(\d{1,19})(?:/.*)?")
_BLUESKY_PATH = re.compile(r"/profile/[^/]+/post/([A-Za-z0-9._~:-]+)/?")
_MASTODON_PATH = re.compile(r"/(?:@[^/]+|users/[^/]+/statuses)/(\d+)/?")


def link_of(source: str, identifier: str) -> str | None:
    """Where a post stands; None where there is no address without a handle."""
    if source == "x":
        return f"https://x.com/i/status/{identifier}"
    if source == "reddit" and identifier.startswith("t3_"):
        return f"https://www.reddit.com/comments/{identifier[3:]}"
    if source == "bluesky" and identifier.startswith("at://") and "/app.bsky.feed.post/" in identifier:
        account, _, key = identifier.removeprefix("at://").partition("/app.bsky.feed.post/")
        return f"https://bsky.app/profile/{account}/post/{key}" if account.startswith("did:") else None
    return None


def address_keys(url: str) -> set[tuple[str, str]]:
    """The posts that an address can lead to, as `post_key` names them; empty for one that is none or is not known."""
    url = url.strip()
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return set()
    if not host:
        return set()
    # A news item's id is the hash of its guid, which most often is its address.
    keys = {("news", hashlib.sha256(url.encode(errors="replace")).hexdigest()[:32])}
    if host in _X_HOSTS and (match := _X_PATH.fullmatch(parts.path)):
        keys.add(("x", match[1]))
    elif host == "bsky.app" and (match := _BLUESKY_PATH.fullmatch(parts.path)):
        keys.add(("bluesky", match[1]))
    elif match := _MASTODON_PATH.fullmatch(parts.path):
        keys.add(("mastodon", f"{host}/{match[1]}"))
    return keys


def post_key(source: str, identifier: str) -> tuple[str, str]:
    """A post as an address names it: Bluesky's have a handle or a DID before the key."""
    return source, identifier.rpartition("/")[2] if source == "bluesky" else identifier
