"""Keyed hashes that stand for authors and texts: equal inside one store, meaningless outside it."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from pathlib import Path

import typer

from data.errors import InputError

KEY_BYTES = 32
_PSEUDONYM = re.compile(r"p:[0-9a-f]{32}")


def _keyed(key: bytes, purpose: str, value: str) -> str:
    return hmac.digest(key, f"{purpose}\0{value}".encode(), "sha256").hex()[:32]


def pseudonym(key: bytes, source: str, account: str) -> str:
    """`p:` and 128 bits of HMAC-SHA256. A pseudonym of an export passes through unchanged."""
    if _PSEUDONYM.fullmatch(account):
        return account
    return "p:" + _keyed(key, f"author/{source}", account.removeprefix("@").lower())


def fingerprint(key: bytes, text: str) -> str:
    """128 bits of HMAC-SHA256 of the text as the platform gave it, to check a text fetched again."""
    return _keyed(key, "text", text)


def key_check(key: bytes) -> str:
    """A value kept in the store that says whether the same key is in use."""
    return _keyed(key, "key check", "")


def default_key_path() -> Path:
    """Where a machine's own key is kept: the user's configuration folder, never beside the database."""
    return Path(typer.get_app_dir("ecitizen-tracker")) / "pseudonym.key"


def load_key(setting: str | None, *, may_create: bool) -> bytes:
    """The key from the setting, or from the user's configuration folder, made there once with mode 600.

    Raises InputError where there is none and none may be made.
    """
    if setting is not None:
        if len(setting) < 16:
            raise InputError("TRACKER_PSEUDONYM_KEY is too short: use at least 16 characters, such as 64 hex digits")
        return setting.encode()
    path = default_key_path()
    if not path.exists():
        if not may_create:
            raise InputError(
                "TRACKER_PSEUDONYM_KEY is not set, and a shared database needs one key for all who write to it: "
                "make one with `python -c 'import secrets; print(secrets.token_hex(32))'` and set it everywhere"
            )
        _create(path)
    key = path.read_text(encoding="ascii").strip()
    if len(key) < 16:
        raise InputError(f"{path} does not hold a key; restore it from your backup, or remove it to start anew")
    return key.encode()


def _create(path: Path) -> None:
    """Two processes may start at once: the first to link its finished file wins, the other takes that one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
