"""The page in Streamlit's own test runner: what a viewer is told in each state."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import streamlit as st
import vl_convert
from conftest import KEY, NOW
from labelled import MODEL, labels, listen, put
from streamlit.testing.v1 import AppTest

from dashboard import charts
from dashboard.strings import label_name, say, shown_time
from dashboard.volume import Window, load_posts, official_messages, volume_by_problem
from data.official import NAIROBI, parse_official
from data.records import Post
from data.store import RunRecord

if TYPE_CHECKING:
    import altair as alt

    from data.store import Store

ENGLISH_DAY = r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d"
PAGE = Path(__file__).parent.parent / "dashboard" / "app_pages" / "overview.py"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _page_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DATABASE_URL", f"sqlite:///{tmp_path / 'posts.db'}")
    monkeypatch.setenv("TRACKER_PSEUDONYM_KEY", KEY)
    monkeypatch.setenv("TRACKER_NOW", NOW.isoformat())
    st.cache_data.clear()
    st.cache_resource.clear()


def page() -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=60).run()


def words(shown: AppTest) -> str:
    elements = [
        *shown.title,
        *shown.markdown,
        *shown.caption,
        *shown.info,
        *shown.warning,
        *shown.error,
        *shown.subheader,
    ]
    return "\n".join(str(element.value) for element in elements)


def fill(store: Store) -> None:
    store.activate_model(MODEL, "0" * 64)
    listen(store, "2026-02-10 00:00", "2026-03-06 20:00")
    for number in range(6):
        put(store, "2026-03-05 09:10", labels("lockout"), person=f"p{number}", text=f"imekata password {number}")
    put(store, "2026-03-05 09:20", labels("payment", lang="sw"), text="malipo <b>hayaonekani</b>")
    put(store, "2026-03-05 10:20", labels(kind="praise", sentiment="positive"), text="asante")


@pytest.mark.parametrize(("language", "day"), [("en", "Fri 06 Mar 2026"), ("sw", "Ijm 06 Mac 2026")])
def test_a_source_that_rests_is_told_with_the_reason_until_it_is_read_again(
    store: Store, language: str, day: str
) -> None:
    fill(store)
    run = RunRecord("x", NOW - timedelta(minutes=3), NOW - timedelta(minutes=2), "refused", "x refused the key (401)")
    store.save_run(run)
    shown = AppTest.from_file(str(PAGE), default_timeout=60)
    shown.query_params["ui"] = {"en": "English", "sw": "Kiswahili"}[language]
    told = [element.value for element in shown.run().warning if "x refused the key (401)" in element.value]
    assert told == [
        say(
            language,
            "resting",
            source="x",
            failures=1,
            since=f"{day} 19:57",
            reason="x refused the key (401)",
            again=f"{day} 20:03",
        )
    ]
    store.save_run(RunRecord("x", NOW - timedelta(minutes=1), NOW, "done"))
    st.cache_data.clear()
    assert "x refused the key" not in words(page())


def test_an_empty_store_says_what_to_do(store: Store) -> None:
    shown = page()
    assert not shown.exception
    assert say("en", "word_empty") in words(shown)
    assert "tracker import" in words(shown)


def test_posts_without_labels_ask_for_them(store: Store) -> None:
    store.save_page([Post("x", "1", NOW.replace(hour=8), "ecitizen iko down")])
    shown = page()
    assert not shown.exception
    assert "tracker classify" in words(shown)


@pytest.mark.parametrize("ui", ["en", "sw"])
def test_a_text_past_its_time_is_said_to_be_gone_and_its_post_still_counts(store: Store, ui: str) -> None:
    fill(store)
    before = page()
    assert store.erase_texts("x", NOW) == 8
    st.cache_data.clear()
    shown = AppTest.from_file(str(PAGE), default_timeout=60)
    shown.query_params["ui"] = {"en": "English", "sw": "Kiswahili"}[ui]
    shown.run()
    assert not shown.exception
    assert set(shown.dataframe[0].value["text"]) == {say(ui, "text_erased")}
    assert shown.metric[0].value == before.metric[0].value == "7"


def test_the_wave_its_shares_and_the_official_word_are_shown(store: Store) -> None:
    fill(store)
    record = {
        "at": "2026-03-05",
        "precision": "day",
        "office": "Huduma Kenya",
        "status": "acknowledged",
        "text": "Kindly try later",
    }
    store.add_official([parse_official(record)])
    shown = page()
    assert not shown.exception
    metrics = {metric.label: (metric.value, metric.delta) for metric in shown.metric}
    assert metrics["People complaining"][0] == "7"
    assert metrics["lockout share"][0] == "86%"
    assert metrics["First official word"] == ("Huduma Kenya", "acknowledged, Thu 05 Mar")
    posts = shown.dataframe[0].value
    assert len(posts) == 7
    assert "malipo <b>hayaonekani</b>" in list(posts["text"])
    assert shown.dataframe[1].value["text"].tolist() == ["Kindly try later"]


def test_a_filter_changes_what_is_counted(store: Store) -> None:
    fill(store)
    shown = page()
    shown.multiselect(key="problem").select("payment").run()
    assert {metric.label: metric.value for metric in shown.metric}["People complaining"] == "1"
    shown.multiselect(key="lang").select("en").run()
    assert not shown.exception
    assert say("en", "posts_none") in words(shown)


def test_a_period_that_nobody_looked_at_is_no_calm(store: Store) -> None:
    store.activate_model(MODEL, "0" * 64)
    put(store, "2026-01-05 09:10", labels("lockout"))
    shown = page()
    assert not shown.exception
    assert say("en", "no_coverage") in words(shown)
    assert say("en", "word_blind") in words(shown)


def test_synthetic_posts_and_a_pretended_clock_are_stamped(store: Store) -> None:
    store.save_page([Post("x", "1", NOW.replace(hour=8), "ecitizen iko down", synthetic=True)])
    shown = page()
    assert say("en", "demo") in words(shown)
    assert "Fri 06 Mar 2026 20:00 EAT" in words(shown)


def test_the_page_speaks_kiswahili(store: Store) -> None:
    fill(store)
    shown = page()
    shown.radio(key="ui").set_value("sw").run()
    assert not shown.exception
    assert shown.title[0].value == say("sw", "title")
    assert {metric.label for metric in shown.metric} >= {"Watu wanaolalamika"}
    assert "Ijm 06 Mac 2026 20:00 EAT" in words(shown)
    posts = shown.dataframe[0].value
    assert set(posts["at"]) == {"Alh 05 Mac 2026 09:10", "Alh 05 Mac 2026 09:20"}
    assert not re.search(ENGLISH_DAY, words(shown) + " ".join(str(metric.delta) for metric in shown.metric))


def test_a_moment_is_named_in_each_language_no_finer_than_it_is_known() -> None:
    at = datetime(2026, 12, 6, 20, 59, tzinfo=UTC)  # a Sunday; one hour to midnight in Nairobi
    assert shown_time(at, "en") == "Sun 06 Dec 2026 23:59"
    assert shown_time(at, "sw") == "Jpl 06 Des 2026 23:59"
    assert shown_time(at, "sw", "hour", year=False) == "Jpl 06 Des 23:00–00:00"
    assert shown_time(at, "sw", "day") == "Jpl 06 Des 2026"
    assert shown_time(None, "sw") == say("sw", "never")
    for number in range(366):
        day = at - timedelta(days=number)
        assert shown_time(day, "en") == f"{day.astimezone(NAIROBI):%a %d %b %Y %H:%M}"
    week = [shown_time(at + timedelta(days=number), "sw")[:3] for number in range(7)]
    assert week == ["Jpl", "Jtt", "Jnn", "Jtn", "Alh", "Ijm", "Jms"]
    months = [shown_time(at.replace(month=number), "sw", "day", year=False)[-3:] for number in range(1, 13)]
    assert months == ["Jan", "Feb", "Mac", "Apr", "Mei", "Jun", "Jul", "Ago", "Sep", "Okt", "Nov", "Des"]


def drawn(store: Store, language: str) -> alt.VConcatChart:
    at = {"at": "2026-03-05T10:00:00+03:00", "precision": "hour", "office": "A very long name of an office of Kenya"}
    store.add_official([parse_official(at | {"status": "acknowledged", "text": "We know"})])
    window = Window(NOW - timedelta(days=3), NOW)
    volume = volume_by_problem(load_posts(store.engine, window), window)
    return charts.volume_chart(volume, official_messages(store.engine, window), [], window, language, 900)


@pytest.mark.parametrize(("language", "day"), [("en", "Thu 05 Mar"), ("sw", "Alh 05 Mac")])
def test_the_charts_name_days_in_the_language_of_the_page(store: Store, language: str, day: str) -> None:
    fill(store)
    picture = vl_convert.vegalite_to_svg(drawn(store, language).to_dict())
    assert f">{day} 00:00<" in picture
    assert f"EAT: {day} 09:00" in picture
    assert language == "en" or not re.search(ENGLISH_DAY, picture)


@pytest.mark.parametrize("language", ["en", "sw"])
def test_no_official_message_looks_like_a_problem_and_its_status_is_told_in_full(store: Store, language: str) -> None:
    fill(store)
    messages = drawn(store, language).vconcat[0]
    spec = messages.to_json()
    assert not [colour for colour in charts.PROBLEM_COLOURS.values() if colour in spec]
    [row] = messages.to_dict()["datasets"].popitem()[1]
    assert row["label"].endswith(f"…: {label_name(language, 'acknowledged')}") and len(row["label"]) <= 46


def test_a_database_that_cannot_be_used_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DATABASE_URL", "sqlite:///nowhere/posts.db")
    shown = page()
    assert not shown.exception
    assert "nowhere" in words(shown)


def test_what_is_not_counted_is_shown_with_its_reason(store: Store) -> None:
    fill(store)
    put(store, "2026-03-05 11:00", labels(kind="promotion", about="other"), text="Sneakers at half price")
    put(store, "2026-03-05 11:10", labels(about="dependency"), text="M-Pesa down")
    shown = page()
    assert not shown.exception
    assert say("en", "not_counted", count=3) in [each.label for each in shown.expander]
    table = shown.dataframe[-1].value.set_index("text")["reason"].to_dict()
    assert table == {
        "Sneakers at half price": "promotion",
        "M-Pesa down": "M-Pesa, bank or network",
        "asante": "praise",
    }
    shown.button_group(key="reasons").set_value(["promotion"]).run()
    assert shown.dataframe[-1].value["text"].tolist() == ["Sneakers at half price"]
    assert {metric.label: metric.value for metric in shown.metric}["People complaining"] == "7"


def test_a_suspected_impostor_is_shown_with_a_link_and_an_unconfirmed_message_as_such(store: Store) -> None:
    fill(store)
    at = NOW.replace(hour=8)
    store.save_page(
        [
            Post("x", "71", at, "Restored, send 200 to unlock", author="eCitizen_KE", author_id="9"),
            Post("x", "72", at, "We are aware", author="eCitizenKenya", author_id="8"),
        ]
    )
    official = replace(labels(kind="official"), status="acknowledged", scope="statement")
    store.save_labels(MODEL, [("x", "71", official), ("x", "72", official)])
    shown = page()
    assert not shown.exception
    assert say("en", "impostors", count=1) in [each.label for each in shown.expander]
    tables = [each.value for each in shown.dataframe]
    [suspects] = [each for each in tables if "resembles" in each]
    assert suspects["link"].tolist() == ["https://x.com/i/status/71"]
    assert "eCitizen_KE" not in suspects.to_csv()
    [messages] = [each for each in tables if "scope" in each]
    assert messages[["who", "text"]].to_numpy().tolist() == [["Directorate of eCitizen (unconfirmed)", "We are aware"]]
    assert {metric.label: metric.value for metric in shown.metric}["First official word"] == "none"
    assert say("en", "official_note") in words(shown)
    shown.radio(key="ui").set_value("sw").run()
    assert not shown.exception
    assert say("sw", "impostors", count=1) in [each.label for each in shown.expander]
