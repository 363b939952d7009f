"""Settings: `tracker.toml` in the working directory, overridden by the environment and a `.env` file."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from data.errors import InputError


def _utc(moment: datetime) -> datetime:
    """ISO 8601 without an offset is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


UtcMoment = Annotated[datetime, AfterValidator(_utc)]


def _address(url: str, scheme: str = "http") -> str:
    parts = urlsplit(url)  # raises ValueError for an unclosed bracket
    if parts.scheme not in {scheme, f"{scheme}s"} or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError(f"not an address: it must begin with {scheme}:// or {scheme}s:// and a host")
    return url


def _websocket_or_off(url: str | None) -> str | None:
    return None if url is None or url == "off" else _address(url, "ws")


def _address_or_off(url: str | None) -> str | None:
    return None if url is None or url == "off" else _address(url)


AddressOrOff = Annotated[str | None, AfterValidator(_address_or_off)]
Address = Annotated[str, AfterValidator(_address)]
WebsocketAddress = Annotated[str | None, AfterValidator(_websocket_or_off)]


def _listed(value: object) -> object:
    """`a,b` as in the environment, where `off` is an empty list; a list as in the file."""
    if not isinstance(value, str):
        return value
    return () if value.strip().lower() == "off" else tuple(each.strip() for each in value.split(",") if each.strip())


def _app(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._]+", name):
        raise ValueError("not the id of an app, such as ke.go.ecitizen or 123456789")
    return name


Apps = Annotated[tuple[Annotated[str, AfterValidator(_app)], ...], NoDecode, BeforeValidator(_listed)]


def _days(value: object) -> object:
    """A JSON object as in the environment; a table as in the file."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('not a JSON object such as {"x": 30, "default": 365}') from None


DaysBySource = Annotated[dict[str, Annotated[int, Field(ge=1, le=36_500)]], NoDecode, BeforeValidator(_days)]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_listed)]


def _quiet(hours: str | None) -> str | None:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", hours) if hours else None
    if hours and (found is None or hours[:5] == hours[6:]):
        raise ValueError("not hours of a day such as 22:00-06:00, East Africa Time")
    return hours or None


class AlertChannel(BaseModel):
    """Who is alerted, of what, and when; the receiver's address stands in the environment variable `url_from`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url_from: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    least_severity: Literal["minor", "major", "severe"] = "minor"
    quiet_hours: Annotated[str | None, AfterValidator(_quiet)] = None
    cool_down_minutes: float = Field(10, ge=0, le=24 * 60)
    language: Literal["en", "sw"] = "en"


ChannelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]

SECRETS = (
    "TRACKER_PSEUDONYM_KEY",
    "X_BEARER_TOKEN",
    "REDDIT_CLIENT_ID",
    "REDDIT_CLIENT_SECRET",
    "TRACKER_ALERT_URLS",
)
# How Kenyans write it, the commonest first: the name, slips of it, handle and hashtags, the slogan by which the state means its
# app, and the paybills. "citizen portal" is left out, since Pakistan's is written so, and 222222 alone, which X would sell
# worldwide: benchmarks/query_recall.py says what that misses.
DEFAULT_TERMS = (
    "eCitizen",
    "e-citizen",
    "e citizen",
    "#eCitizen",
    "@eCitizenKenya",
    "ecitzen",
    "ecitizn",
    "eticizen",
    "ecitzn",
    "ecitizan",
    "e-citzen",
    "e citzen",
    "e-citizn",
    "e citizn",
    "#eCitizenDown",
    "Gava Mkononi",
    "#GavaMkononi",
    "paybill 222222",
    "paybill 206206",
)

# On and reachable without a key; not verified from here that each still shows its hashtags without a login.
DEFAULT_MASTODON_URLS = ("https://mastodon.social", "https://mastodon.online", "https://mstdn.social")
# News of Kenya, and its government's own agency; not verified from here that each still answers.
DEFAULT_FEED_URLS = (
    "https://www.kenyanews.go.ke/feed/",
    "https://www.standardmedia.co.ke/rss/headlines.php",
    "https://www.capitalfm.co.ke/news/feed/",
    "https://www.kenyans.co.ke/feeds/news",
    "https://www.tuko.co.ke/rss/all.rss",
    "https://nation.africa/kenya/rss.xml",
    "https://taifaleo.nation.co.ke/feed",
)
# Named on a public page as the app of eCitizen; not verified. No such page was found for Apple's.
DEFAULT_PLAY_APPS = ("ke.go.ecitizen",)


class _File(TomlConfigSettingsSource):
    """`tracker.toml`, which is committed and copied more easily than an environment, so that no secret may stand in it."""

    def __call__(self) -> dict[str, Any]:
        """What the file sets. Raises InputError where it holds a secret."""
        found = super().__call__()
        for name in SECRETS:
            if name in found or name.lower() in found or name.removeprefix("TRACKER_").lower() in found:
                raise InputError(f"tracker.toml holds {name}, a secret: set it in the environment or in .env instead")
        secrets = {name.removeprefix("TRACKER_").lower() for name in SECRETS}
        known = sorted(Settings.model_fields.keys() - secrets)
        for name in self.toml_data:
            if name not in known:
                alike = get_close_matches(name, known, 1)
                hint = f": is {alike[0]} meant?" if alike else "; they are " + ", ".join(known)
                raise InputError(f"tracker.toml sets {name}, which is no setting{hint}")
        return found


class Settings(BaseSettings):
    """What an operator can set; `None` for a credential means that the source is off."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, toml_file="tracker.toml", extra="ignore", populate_by_name=True
    )

    database_url: str = Field("sqlite:///tracker.db", alias="TRACKER_DATABASE_URL")
    pseudonym_key: SecretStr | None = Field(None, alias="TRACKER_PSEUDONYM_KEY")
    x_bearer_token: SecretStr | None = Field(None, alias="X_BEARER_TOKEN")
    x_url: Address = Field("https://api.twitter.com", alias="TRACKER_X_URL")
    # X is paid for; without a word from the operator, no more than this.
    x_posts_per_day: int = Field(
        1_000, validation_alias=AliasChoices("x_posts_per_day", "TRACKER_X_POSTS_PER_DAY"), ge=0
    )
    x_posts_per_month: int = Field(
        20_000, validation_alias=AliasChoices("x_posts_per_month", "TRACKER_X_POSTS_PER_MONTH"), ge=0
    )
    x_usd_per_day: float = Field(
        10.0, validation_alias=AliasChoices("x_usd_per_day", "TRACKER_X_USD_PER_DAY"), ge=0, allow_inf_nan=False
    )
    x_usd_per_month: float = Field(
        150.0, validation_alias=AliasChoices("x_usd_per_month", "TRACKER_X_USD_PER_MONTH"), ge=0, allow_inf_nan=False
    )
    reddit_client_id: SecretStr | None = Field(None, alias="REDDIT_CLIENT_ID")
    reddit_client_secret: SecretStr | None = Field(None, alias="REDDIT_CLIENT_SECRET")
    reddit_url: Address | None = Field(None, alias="TRACKER_REDDIT_URL", description="None: Reddit's own addresses")
    jetstream_url: WebsocketAddress = Field(
        "wss://jetstream1.us-east.bsky.network/subscribe",
        alias="TRACKER_JETSTREAM_URL",
        description="None: Bluesky, which needs no key, is off",
    )
    bluesky_url: AddressOrOff = Field(
        "https://public.api.bsky.app",
        alias="TRACKER_BLUESKY_URL",
        description="Bluesky's public AppView: timelines of official accounts, and for `comply` whether posts are still there; None: neither",
    )
    mastodon_urls: Addresses = Field(
        DEFAULT_MASTODON_URLS, validation_alias=AliasChoices("mastodon_urls", "TRACKER_MASTODON_URLS")
    )
    feed_urls: Addresses = Field(DEFAULT_FEED_URLS, validation_alias=AliasChoices("feed_urls", "TRACKER_FEED_URLS"))
    notice_urls: Addresses = Field(
        (),
        validation_alias=AliasChoices("notice_urls", "TRACKER_NOTICE_URLS"),
        description="Feeds of offices, read whole by the source `official` once their host is confirmed",
    )
    play_apps: Apps = Field(DEFAULT_PLAY_APPS, validation_alias=AliasChoices("play_apps", "TRACKER_PLAY_APPS"))
    apple_apps: Apps = Field((), validation_alias=AliasChoices("apple_apps", "TRACKER_APPLE_APPS"))
    play_url: Address = Field("https://play.google.com", alias="TRACKER_PLAY_URL")
    apple_url: Address = Field("https://itunes.apple.com", alias="TRACKER_APPLE_URL")
    pretended_now: UtcMoment | None = Field(None, alias="TRACKER_NOW")
    retention_days: DaysBySource = Field(
        {},
        validation_alias=AliasChoices("retention_days", "TRACKER_RETENTION_DAYS"),
        description="How long texts are kept, by source, `default` for those not named. Empty: without a limit",
    )
    models_folder: Path | None = Field(
        None,
        validation_alias=AliasChoices("models_folder", "TRACKER_MODELS"),
        description="Where other models than the one that ships are kept. None: the user's data folder",
    )

    logs: Literal["auto", "text", "json"] = Field("auto", validation_alias=AliasChoices("logs", "TRACKER_LOGS"))
    every_seconds: dict[str, Annotated[float, Field(ge=1, le=86_400)]] = Field(
        {},
        validation_alias=AliasChoices("every_seconds", "TRACKER_EVERY_SECONDS"),
        description="Between the begins of two runs, by source; a source that is not named keeps its own",
    )
    terms: tuple[str, ...] = Field(DEFAULT_TERMS, validation_alias=AliasChoices("terms", "TRACKER_TERMS"), min_length=1)
    exclusions: tuple[str, ...] = Field(
        (),
        validation_alias=AliasChoices("exclusions", "TRACKER_EXCLUSIONS"),
        description="A post that holds one of these is not collected, whatever term it holds",
    )
    subreddits: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{2,21}$")], ...] = Field(
        ("Kenya", "nairobi"),
        validation_alias=AliasChoices("subreddits", "TRACKER_SUBREDDITS"),
        min_length=1,
    )
    watch_folder: Path | None = Field(
        None,
        validation_alias=AliasChoices("watch_folder", "TRACKER_WATCH_FOLDER"),
        description="Where `tracker run` imports the files that are dropped; None: nowhere",
    )
    watch_source: str | None = Field(
        None,
        validation_alias=AliasChoices("watch_source", "TRACKER_WATCH_SOURCE"),
        description="The source of records in its files that name none",
    )
    alert_channels: dict[ChannelName, AlertChannel] = Field(default_factory=dict)
    alert_urls: SecretStr | None = Field(
        None, alias="TRACKER_ALERT_URLS", description="Receivers that take every alert, in English, comma-separated"
    )
    dashboard_url: Address = Field(
        "http://localhost:8501",
        validation_alias=AliasChoices("dashboard_url", "TRACKER_DASHBOARD_URL"),
        description="Where alerts say that the page is",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, _File(settings_cls)

    @property
    def pretends(self) -> bool:
        """Whether the clock is a pretended one, which every page and export must say."""
        return self.pretended_now is not None

    def now(self) -> datetime:
        """The present moment in UTC, or the pretended one."""
        return self.pretended_now or datetime.now(UTC)


def load_settings(**overrides: Any) -> Settings:
    """The settings in force.

    Raises InputError naming the setting and what is wrong with it, never its value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(f"setting {name}: {first['msg']}; correct it in the environment or tracker.toml") from None
    except ValueError as error:
        raise InputError(f"{Path('tracker.toml')} is not valid TOML: {error}") from None
