"""Terms in texts: as whole words, in any case and spacing."""

from __future__ import annotations

import pytest

from collector.terms import matcher
from data.settings import DEFAULT_TERMS


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
