"""Who is alerted: the channels of the settings with their addresses, which hold passwords and are shown and logged nowhere."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values
from pydantic import SecretStr

from dashboard.record import SEVERITIES
from data.errors import InputError
from data.official import NAIROBI
from data.settings import AlertChannel

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

    from data.settings import Settings

LEVELS = tuple(name for _, name in reversed(SEVERITIES))
# A receiver that is slow to answer may have taken the message, and to send it again would double it.
CONNECT_SECONDS, ANSWER_SECONDS = 15.0, 30.0
# One message of these, beside mail, holds text and picture; those take a picture that has no text. Of others it is not known,
# and a picture that they refuse would send the text again.
PICTURE_WITHIN, PICTURE_APART = frozenset({"jsons", "xmls"}), frozenset({"discord", "tgram"})
_APART = re.compile(r"[,\s]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")  # an address may hold commas of its own


@dataclass(frozen=True)
class Channel:
    """One receiver, of what it hears, and when."""

    name: str
    url: SecretStr
    least_severity: str
    quiet_hours: tuple[time, time] | None
    cool_down: timedelta
    language: str

    def hears(self, severity: str) -> bool:
        """Whether something so severe is told here."""
        return LEVELS.index(severity) >= LEVELS.index(self.least_severity)

    def quiet_until(self, moment: datetime) -> datetime | None:
        """The end of the quiet hours that a moment is in; None outside of them."""
        if self.quiet_hours is None:
            return None
        start, end = self.quiet_hours
        local = moment.astimezone(NAIROBI)
        at = local.time()
        if not (start <= at < end if start < end else at >= start or at < end):
            return None
        over = datetime.combine(local.date(), end, NAIROBI)
        return over if over > local else over + timedelta(days=1)


def load_channels(settings: Settings) -> list[Channel]:
    """The channels of `tracker.toml`, then those of TRACKER_ALERT_URLS, named after what they speak.

    Raises InputError, which never holds an address, where one is missing, is none, or has several receivers.
    """
    surroundings = {**dotenv_values(".env"), **os.environ} if Path(".env").is_file() else dict(os.environ)
    found = []
    for name, channel in settings.alert_channels.items():
        url = (surroundings.get(channel.url_from) or "").strip()
        if not url:
            raise InputError(
                f"the alert channel {name} takes its address from {channel.url_from}, which is not set in the environment or .env"
            )
        found.append(_channel(name, url, channel))
    listed = settings.alert_urls.get_secret_value().strip() if settings.alert_urls else ""
    for url in _APART.split(listed) if listed else []:
        kind = re.sub(r"[^a-z0-9]", "", url.partition("://")[0].lower()) or "channel"
        same = sum(re.fullmatch(rf"{kind}(_\d+)?", each.name) is not None for each in found)
        name = f"{kind}_{same + 1}" if same else kind
        found.append(_channel(name, url.rstrip(","), AlertChannel.model_validate({"url_from": "TRACKER_ALERT_URLS"})))
    return found


def _channel(name: str, url: str, channel: AlertChannel) -> Channel:
    made = Channel(
        name,
        SecretStr(url),
        channel.least_severity,
        _hours(channel.quiet_hours),
        timedelta(minutes=channel.cool_down_minutes),
        channel.language,
    )
    receivers = len(open_channel(made))
    if receivers > 1:
        raise InputError(
            f"the alert channel {name} has {receivers} receivers: give each a channel of its own, "
            "or a message that one of them refused would reach the others twice"
        )
    return made


def _hours(written: str | None) -> tuple[time, time] | None:
    return (time.fromisoformat(written[:5]), time.fromisoformat(written[6:])) if written else None


def open_channel(channel: Channel) -> NotifyBase:
    """What speaks to the receiver. Raises InputError where the address is none that apprise knows."""
    import apprise

    quieten()
    asset = apprise.AppriseAsset(app_id="eCitizen outage tracker", app_desc="eCitizen outage tracker", app_url="")
    plugin: Any = apprise.Apprise.instantiate(channel.url.get_secret_value(), asset=asset)
    if plugin is None:
        raise InputError(
            f"the address of the alert channel {channel.name} is none that apprise knows, or lacks a part: docs/alerts.md has examples"
        )
    plugin.retry = 0  # the outbox tries again, across restarts too
    mail = hasattr(plugin, "smtp_host")
    if mail:
        plugin.request_rate_per_sec = 0  # else seconds between two mails, which a mail server does not need
    if "cto=" not in channel.url.get_secret_value():
        # Mail has one time-out for all that it waits for.
        plugin.socket_connect_timeout = ANSWER_SECONDS if mail else CONNECT_SECONDS
    if "rto=" not in channel.url.get_secret_value():
        plugin.socket_read_timeout = ANSWER_SECONDS
    opened: NotifyBase = plugin
    return opened


def picture_of(plugin: NotifyBase) -> str:
    """How a picture reaches this receiver: `within` the message, `apart` after it, or `none` does."""
    kind = plugin.secure_protocol
    if hasattr(plugin, "smtp_host") or kind in PICTURE_WITHIN:
        return "within"
    return "apart" if kind in PICTURE_APART else "none"


def quieten() -> None:
    """What apprise logs may hold addresses of receivers; why a message failed is read from it and told in own words."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
