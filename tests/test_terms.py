"""Terms in texts: as whole words, in any case and spacing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sources import NAMES, reddit, x
from collector.terms import distinct, matcher
from data.errors import InputError
from data.settings import DEFAULT_TERMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    "text",
    [
        "eCitizen",
        "ECITIZEN!",
        "naomba e-citizen, tafadhali",
        "e\u2011citizen",
        "E  citizen",
        "e\ncitizen",
        "#eCitizen",
        "@eCitizenKenya.bsky.social",
        "(ecitzen)",
        "accounts.ecitizen.go.ke/login",
        "eCitizen's",
    ],
)
def test_a_term_is_found_as_a_word_in_any_case_and_spacing(text: str) -> None:
    assert matcher(DEFAULT_TERMS)(text)


@pytest.mark.parametrize(
    "text", ["the citizen", "The Citizen newspaper", "decitizen", "ecitizenship", "me citizen", "e, citizen", "", "e"]
)
def test_a_part_of_a_word_is_no_term(text: str) -> None:
    assert not matcher(DEFAULT_TERMS)(text)
    assert not matcher(["", " "])(text)


def test_terms_are_taken_as_they_are_written() -> None:
    mentions = matcher(["c++", "a.b", "huduma namba"])
    assert all(map(mentions, ("c++ ni ngumu", "a.b", "HUDUMA\u00a0NAMBA")))
    assert not any(map(mentions, ("c", "aXb", "hudumanamba")))


def test_an_exclusion_wins_over_a_term() -> None:
    matches = matcher(DEFAULT_TERMS, ["ecitizen.gov.sg", "Senior  Citizen"])
    assert matches("eCitizen iko chini") and matches("ecitizen.gov.sgx na eCitizen")
    assert not matches("eCitizen: see ECITIZEN.GOV.SG") and not matches("e citizen, senior citizen")
    assert not matcher(["eCitizen"], ["eCitizen"])("eCitizen")


def test_terms_that_differ_in_case_or_spacing_are_asked_for_once() -> None:
    assert distinct(["eCitizen", "ECITIZEN", "e  citizen", "e citizen", " ", "#eCitizen"]) == [
        "eCitizen",
        "e citizen",
        "#eCitizen",
    ]


def test_the_query_of_x_and_of_reddit() -> None:
    terms, exclusions = (
        ("eCitizen", "e citizen", "#eCitizen", "@eCitizenKenya", "OR", 'a "b'),
        ("ecitizen.gov.sg", "Pakistan"),
    )
    assert x.compile_query(terms, exclusions) == (
        '(eCitizen OR "e citizen" OR #eCitizen OR @eCitizenKenya OR "OR" OR "a  b") -is:retweet -"ecitizen.gov.sg" -Pakistan'
    )
    assert (
        reddit.compile_query(terms[:3], exclusions)
        == '("eCitizen" OR "e citizen") NOT "ecitizen.gov.sg" NOT "Pakistan"'
    )
    assert reddit.compile_query(terms[:3]) == '"eCitizen" OR "e citizen"'


@pytest.mark.parametrize("compile_query", [x.compile_query, reddit.compile_query])
def test_a_query_beyond_the_limit_is_refused_with_its_length(compile_query: Callable[..., str]) -> None:
    with pytest.raises(InputError, match="no word"):
        compile_query([" ", ":"])
    many = tuple(f"ecitizen{number}" for number in range(60))
    with pytest.raises(InputError, match=r"characters, (X|Reddit) takes 512: shorten the list"):
        compile_query(many)
    assert len(compile_query(DEFAULT_TERMS)) <= 512


WRITTEN = st.lists(st.text(st.sampled_from('abeO R"()-:#@\u00e9\u2011'), max_size=9), max_size=40)


@given(WRITTEN, WRITTEN)
def test_whatever_the_terms_are_a_query_keeps_the_limit_and_holds_no_operator_of_theirs(
    terms: list[str], exclusions: list[str]
) -> None:
    for compile_query, operators in (
        (x.compile_query, r"OR|\(|\)|-is:retweet"),
        (reddit.compile_query, r"OR|NOT|\(|\)"),
    ):
        try:
            query = compile_query(terms, exclusions)
        except InputError:
            continue
        assert len(query) <= 512 and query.count('"') % 2 == 0
        rest = re.sub(rf'-?"[^"]*"|(?<!\S)\(|\)(?!\S)|(?<!\S)(?:{operators})(?!\S)', " ", query)
        assert all(re.fullmatch(r"\(*-?[@#]*\w+\)*", word) for word in rest.split()), query


def test_explain_tells_what_is_asked_without_keys_a_network_or_a_database(
    tracker: Callable[..., Any], tmp_path: Path
) -> None:
    addresses = {
        "TRACKER_MASTODON_URLS": "https://kelele:siri@toot.example/path",
        "TRACKER_FEED_URLS": "https://news.example/feed?key=siri",
        "TRACKER_JETSTREAM_URL": "wss://kelele:siri@jet.example/subscribe?key=siri",
        "TRACKER_PLAY_APPS": "ke.go.ecitizen",
        "TRACKER_EXCLUSIONS": '["Pakistan"]',
        "X_BEARER_TOKEN": "siri-token",
    }
    done = tracker("collect", "--explain", "--json", **addresses)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["query"] == {"terms": list(DEFAULT_TERMS), "exclusions": ["Pakistan"]}
    assert list(told["sources"]) == list(NAMES)
    asked = {name: [question["asks"] for question in questions] for name, questions in told["sources"].items()}
    assert asked["x"][0].endswith("-is:retweet -Pakistan")
    assert "r/Kenya+nairobi/new" in asked["reddit"][1] and "r/Kenya+nairobi/comments" in asked["reddit"][2]
    assert "#ecitizen" in asked["mastodon"][0] and "jet.example" in asked["bluesky"][0]
    assert {question["sifts"] for question in told["sources"]["reviews"]} == {False}
    text = tracker("collect", "--explain", "x", "news", **addresses)
    assert text.returncode == 0 and "news.example/feed" in text.stdout and "bluesky" not in text.stdout
    assert "siri" not in done.stdout + done.stderr + text.stdout + text.stderr
    assert not (tmp_path / "posts.db").exists()
    assert tracker("collect", "--explain", "orkut").returncode == 2
    off = tracker("collect", "--explain", "news")
    assert off.returncode == 0 and "TRACKER_FEED_URLS" in off.stdout


def test_a_query_too_long_for_x_is_told_by_explain_and_the_others_are_shown(tracker: Callable[..., Any]) -> None:
    long = json.dumps([f"ecitizen{number}" for number in range(60)])
    done = tracker("collect", "--explain", "x", "bluesky", "--json", TRACKER_TERMS=long, TRACKER_JETSTREAM_URL="ws://a")
    told = json.loads(done.stdout)["sources"]
    assert "takes 512" in told["x"]["off"] and told["bluesky"][0]["sifts"]


def test_without_a_source_the_command_names_them(tracker: Callable[..., Any]) -> None:
    done = tracker("collect")
    assert done.returncode == 2 and "name the sources: x, reddit" in done.stderr
