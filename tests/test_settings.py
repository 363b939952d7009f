from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from data.errors import InputError
from data.settings import load_settings


def test_the_environment_wins_over_the_env_file_and_that_over_the_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tracker.toml").write_text('database_url = "sqlite:///toml.db"\nterms = ["ecitizen"]\nx_url = "http://toml"\n')
    Path(".env").write_text("TRACKER_DATABASE_URL=sqlite:///dotenv.db\nTRACKER_X_URL=http://dotenv\n")
    monkeypatch.setenv("TRACKER_X_URL", "http://environment")
    settings = load_settings()
    assert settings.terms == ("ecitizen",)
    assert settings.database_url == "sqlite:///dotenv.db"
    assert settings.x_url == "http://environment"


@pytest.mark.parametrize("name", ["x_bearer_token", "X_BEARER_TOKEN", "pseudonym_key", "TRACKER_PSEUDONYM_KEY"])
def test_a_secret_in_the_toml_is_refused_and_not_repeated(name: str) -> None:
    Path("tracker.toml").write_text(f'{name} = "very secret"\n')
    with pytest.raises(InputError, match="a secret") as caught:
        load_settings()
    assert "very secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"), [("x_usd_day", "is x_usd_per_day meant"), ("TRACKER_TERMS", "they are "), ("zzz", "they are ")]
)
def test_what_is_no_setting_is_refused_with_the_one_that_was_meant(name: str, hint: str) -> None:
    Path("tracker.toml").write_text(f"{name} = 1\n")
    with pytest.raises(InputError, match=f"sets {name}, which is no setting.*{hint}"):
        load_settings()


@pytest.mark.parametrize("name", ["../x", "r/Kenya", "a b", ""])
def test_what_is_no_subreddit_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="setting subreddits"):
        load_settings(subreddits=("Kenya", name))


def test_a_broken_toml_is_named() -> None:
    Path("tracker.toml").write_text("terms = [")
    with pytest.raises(InputError, match=r"tracker\.toml is not valid TOML"):
        load_settings()


@pytest.mark.parametrize("url", ["api.example", "ftp://api.example", "http://", "http://host:port", "http://[half"])
@pytest.mark.parametrize("name", ["TRACKER_X_URL", "TRACKER_REDDIT_URL"])
def test_a_base_address_that_is_none_is_named_at_once(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(InputError, match=name):
        load_settings()


@pytest.mark.parametrize("url", ["jetstream.example", "https://jetstream.example", "ws://", "wss://host:port", "OFF"])
def test_a_jetstream_that_is_no_websocket_is_named_at_once(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TRACKER_JETSTREAM_URL", url)
    with pytest.raises(InputError, match="TRACKER_JETSTREAM_URL"):
        load_settings()


def test_bluesky_is_on_unless_it_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().jetstream_url is None  # which the surroundings of the tests say
    monkeypatch.delenv("TRACKER_JETSTREAM_URL")
    assert (load_settings().jetstream_url or "").startswith("wss://")


@pytest.mark.parametrize("name", ["TRACKER_MASTODON_URLS", "TRACKER_FEED_URLS"])
def test_addresses_are_listed_with_commas_and_each_is_checked(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    field = name.removeprefix("TRACKER_").lower()
    for written, expected in (("https://a.example, http://b", 2), ("off", 0), ("OFF", 0), ("https://a.example", 1)):
        monkeypatch.setenv(name, written)
        assert len(getattr(load_settings(), field)) == expected
    monkeypatch.setenv(name, "https://a.example,b.example")
    with pytest.raises(InputError, match="(?i)" + name.removeprefix("TRACKER_")) as caught:
        load_settings()
    assert "b.example" not in str(caught.value)
    monkeypatch.delenv(name)
    assert len(getattr(load_settings(), field)) >= 3
    Path("tracker.toml").write_text(f'{field} = ["https://c.example"]\n')
    assert getattr(load_settings(), field) == ("https://c.example",)


@pytest.mark.parametrize("name", ["TRACKER_PLAY_URL", "TRACKER_APPLE_URL"])
def test_the_stores_have_base_addresses(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "play.example")
    with pytest.raises(InputError, match=name):
        load_settings()


@pytest.mark.parametrize("name", ["TRACKER_PLAY_APPS", "TRACKER_APPLE_APPS"])
def test_an_app_is_an_id_and_no_path(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "ke.go.ecitizen,12345")
    assert getattr(load_settings(), name.removeprefix("TRACKER_").lower()) == ("ke.go.ecitizen", "12345")
    monkeypatch.setenv(name, "1/../2")
    with pytest.raises(InputError, match="id of an app"):
        load_settings()


def test_a_secret_does_not_show_in_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_BEARER_TOKEN", "very secret")
    assert "very secret" not in repr(load_settings())


@pytest.mark.parametrize("text", ["2026-03-06T20:00:00+03:00", "2026-03-06T17:00:00", "2026-03-06T17:00:00Z"])
def test_the_pretended_clock_is_utc_without_an_offset(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TRACKER_NOW", text)
    settings = load_settings()
    assert settings.pretends
    assert settings.now() == datetime(2026, 3, 6, 17, tzinfo=UTC)
