from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.official import official_handles
from data.redaction import PLACEHOLDERS, redact

SENTENCES = (
    "Paid and still not reflecting, {} please check",
    "Nimelipa tangu asubuhi na haionekani, {} tafadhali angalieni",
    "Buda hii eCitizen imenibeba ufala, {} manze nisaidieni",
    "{}",
)
ZERO_WIDTH = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202a", "\u2066", "\ufe0f\u20e3")


def wide(text: str) -> str:
    """Full-width digits and letters, as a Chinese keyboard writes them."""
    return "".join(chr(ord(character) + 0xFEE0) if character.isalnum() else character for character in text)


REPLACED = {
    "<PHONE>": [
        "0712345678",
        "0712 345 678",
        "0712-345-678",
        "0712.345.678",
        "0712 - 345 - 678",
        "0712–345–678",
        "0712\u2011345\u2011678",
        "07 12 34 56 78",
        "0 7 1 2 3 4 5 6 7 8",
        "(0712) 345678",
        "0110 123 456",
        "0110123456",
        "+254712345678",
        "+254 712 345 678",
        "+254-712-345-678",
        "+254(0)712345678",
        "+254 (0) 712 345 678",
        "+254 (712) 345678",
        "+2540712345678",
        "254712345678",
        "254 712 345 678",
        "254 (712) 345 678",
        "00254712345678",
        "712345678",
        "712 345 678",
        "110 345 678",
        "020 2222222",
        "+1 415 555 2671",
        "+44 20 7946 0958",
        wide("0712345678"),
        wide("+254 712 345 678"),
        "".join(f"{digit}\ufe0f\u20e3" for digit in "0712345678"),
        *(f"07{hidden}12{hidden}345{hidden}678" for hidden in ZERO_WIDTH[:-1]),
        "0712\u200d 345\u200d 678",
    ],
    "<ID>": ["12345678", "1234567", "A1234567", "AK0123456", "bk1234567", wide("23456789"), "2345\u200b6789"],
    "<KRAPIN>": [
        "A012345678B",
        "a012345678b",
        "P051234567Z",
        "A 012 345 678 B",
        "A-012-345-678-B",
        wide("A012345678B"),
        "A0123\u200b45678B",
    ],
    "<TXN>": ["SFA1B2C3D4", "sfa1b2c3d4", "SfA1b2C3d4", "TCK4XY9Q2L", "QGH7T3YI0P", wide("SFA1B2C3D4")],
    "<EMAIL>": ["jane.doe@gmail.com", "JANE@GMAIL.CO.KE", "j+ecitizen@mail.example.org", "wanjikũ@example.com"],
    "<CARD>": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "378282246310005",
    ],
    "<ACC>": ["01109876543210", "0110 9876 5432 10", "123456789012345678901234"],
    "<URL>": [
        "https://accounts.ecitizen.go.ke/login?id=12345678",
        "HTTP://example.com",
        "www.facebook.com/jane.doe",
        "bit.ly/3abcDEF",
        "wa.me/254712345678",
        "t.me/janedoe",
        "instagram.com/jane_doe",
    ],
    "@user": [
        "@jane_doe",
        "@JaneDoe254",
        "＠jane_doe",
        "@jane.bsky.social",
        "@jane-doe.bsky.social",
        "@jane@mastodon.social",
        "@jane_doe@c.im",
        "u/jane_doe",
        "/u/jane-doe",
        "U/Jane_Doe",
        "/user/jane_doe",
    ],
}
IN_CONTEXT = {
    "ID:12345678": "ID:<ID>",
    "ID=12345678": "ID=<ID>",
    "ID-12345678": "ID-<ID>",
    "ID12345678": "ID<ID>",
    "ID no.12345678": "ID no.<ID>",
    "id number is 123456": "id number is <ID>",
    "ID 12.345.678": "ID <ID>",
    "Kitambulisho changu ni 23456789": "Kitambulisho changu ni <ID>",
    "kitambulisho namba:1234567": "kitambulisho namba:<ID>",
    "Jane/12345678/0712345678": "Jane/<ID>/<PHONE>",
    "12345678,23456789": "<ID>,<ID>",
    "712345678/722345678": "<PHONE>/<PHONE>",
    "KRA PIN:A012345678B": "KRA PIN:<KRAPIN>",
    "pinA012345678Bya": "pin<KRAPIN>ya",
    "_A012345678B_": "_<KRAPIN>_",
    "A012345678B@jane": "<KRAPIN>@user",
    "Call0712345678": "Call<PHONE>",
    "_0712345678_": "_<PHONE>_",
    "0712345678/0722000000": "<PHONE>/<PHONE>",
    "no.712345678": "no.<PHONE>",
    "_jane@gmail.com_": "<EMAIL>_",
    "jane@gmail.com0712345678": "<EMAIL><PHONE>",
    "M-Pesa code TCKABXYQZL": "M-Pesa code <TXN>",
    "SFA1B2C3D4 Confirmed. Ksh1,050.00 sent to eCitizen for account ABC-12345": "<TXN> Confirmed. Ksh1,050.00 sent to eCitizen for account <ACC>",
    "account 12345": "account <ACC>",
    "account number is 12345": "account number is <ACC>",
    "ACCOUNT NO: 12345": "ACCOUNT NO: <ACC>",
    "akaunti yangu ni 54321": "akaunti yangu ni <ACC>",
    "a/c 1234567890": "a/c <ACC>",
    "meter no 37123456789": "meter no <ACC>",
    "token 1234-5678-9012-3456-7890": "token <ACC>",
    "Invoice QXRBLN 2": "Invoice <ACC> 2",
    "INVOICE NO: QXRBLN 2": "INVOICE NO: <ACC> 2",
    "paybill 222222 account 12345678": "paybill 222222 account <ACC>",
    "@jane, @eCitizenKenya na @bob.": "@user, @eCitizenKenya na @user.",
    ".@jane_doe's": ".@user's",
}
KEPT = [
    "@eCitizenKenya",
    "@ecitizenkenya",
    "@NTSA_Kenya",
    "cc:@eCitizenKenya.",
    "@eCitizenKenya.Kwani",
    "2026",
    "2024/2025",
    "2024-2025",
    "2024 2025 2026",
    "2026-03-05",
    "05/03/2026",
    "5.3.2026",
    "20260305",
    "05032026",
    "2026-03-05 08:30",
    "05-03-2026 10:30",
    "01-03-2026 10:30",
    "07.11.2025 14:05",
    "2026-03-05T06:12:09Z",
    "08:30",
    "0830hrs",
    "saa 2:30",
    "8am-5pm",
    "24/7",
    "Ksh 1,050",
    "Ksh1500000",
    "Ksh. 1500000",
    "KES 1500000",
    "KSHS 12,500.50",
    "shilingi 1500000",
    "sh 1500000",
    "Amount: 1500000",
    "1500000 bob",
    "1500000/=",
    "1500000/-",
    "1500000 shillings",
    "1500000 shilingi",
    "12,500,000",
    "1500000.00",
    "bill Ksh12500",
    "Bill KSH12,500",
    "bill 12500/=",
    "ticket 15000 bob",
    "10000000 people",
    "paybill 222222",
    "Paybill 206206",
    "pay bill no. 206206",
    "account 222222",
    "Finance Bill 2024",
    "error 500",
    "HTTP 503",
    "error code 1020",
    "Error 0x80070005",
    "ERR_CONNECTION_TIMED_OUT",
    "Samsung A54",
    "SM-A546B",
    "CPH2341",
    "Infinix HOT 40i",
    "Tecno Spark 20C",
    "iPhone 15 Pro Max",
    "Redmi Note 13",
    "Android 14",
    "iOS 17.4.1",
    "v2.10.1234567",
    "3.14159265",
    "*222#",
    "ecitizen.go.ke",
    "r/Kenya",
    "and/or",
    "#TukoPamoja2026",
    "PAY MY BILL TODAY 1",
    "transaction, account, password, 99%",
    "👩\u200d💻",
]


@pytest.mark.parametrize(
    ("written", "placeholder"), [(form, placeholder) for placeholder, forms in REPLACED.items() for form in forms]
)
def test_personal_data_becomes_its_placeholder_and_nothing_else_changes(written: str, placeholder: str) -> None:
    for sentence in SENTENCES:
        assert redact(sentence.format(written), keep_handles=official_handles()) == sentence.format(placeholder)


@pytest.mark.parametrize(("written", "expected"), IN_CONTEXT.items())
def test_personal_data_is_found_by_what_stands_around_it(written: str, expected: str) -> None:
    for sentence in SENTENCES:
        assert redact(sentence.format(written), keep_handles=official_handles()) == sentence.format(expected)


@pytest.mark.parametrize("written", KEPT)
def test_look_alikes_stay(written: str) -> None:
    for sentence in SENTENCES:
        assert redact(sentence.format(written), keep_handles=official_handles()) == sentence.format(written)


def test_an_official_handle_stays_only_where_it_is_listed() -> None:
    assert redact("@eCitizenKenya @eCitizenKenya_ @eCitizenKenya.bsky.social", keep_handles=official_handles()) == (
        "@eCitizenKenya @user @user"
    )
    assert redact("@eCitizenKenya") == "@user"


@pytest.mark.parametrize("author", ["jane_doe", "Jane.Doe", "jane-doe.bsky.social"])
def test_the_authors_own_handle_goes_wherever_it_stands(author: str) -> None:
    text = f"mimi ni {author.upper()}, follow @{author} or ask {author}!"
    assert redact(text, author=author) == "mimi ni @user, follow @user or ask @user!"
    assert redact(f"my{author}s", author=author) == f"my{author}s"


FRAGMENTS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="0123456789 .,-/:()+@_ABab<>=\u200b\u200d\u0301\u0338\u0663", max_size=12),
    st.sampled_from([form for forms in REPLACED.values() for form in forms] + list(IN_CONTEXT) + KEPT),
    st.sampled_from([*PLACEHOLDERS, "@user", "ID ", "account ", "Ksh ", "/=", "code ", "u/", "@", "https://"]),
)


@given(st.lists(FRAGMENTS, max_size=8).map("".join), st.none() | st.text(max_size=10))
@example("4111111111111111\u0338", None)  # ">" and the mark after it are one character, "≯"
@example("@jane\u200b\u0301", None)
@example("e\u200b\u0301 0712345678", None)
def test_redacting_twice_changes_nothing_more(text: str, author: str | None) -> None:
    once = redact(text, author=author, keep_handles=official_handles())
    assert redact(once, author=author, keep_handles=official_handles()) == once
    assert redact(once, keep_handles=official_handles()) == once


@given(st.text() | st.text(alphabet="0123456789 ").map(lambda text: text * 40))
def test_no_text_makes_redaction_fail(text: str) -> None:
    redact(text, author=text[:20], keep_handles=official_handles())


@st.composite
def kenyan_phones(draw: st.DrawFn) -> str:
    national = draw(st.sampled_from("71")) + draw(st.text("0123456789", min_size=8, max_size=8))
    prefix = draw(st.sampled_from(["0", "+254", "254", "00254", "+254(0)", "2540"]))
    groups = draw(st.sampled_from([(9,), (3, 3, 3), (3, 6), (2, 2, 2, 3), (1,) * 9]))
    between = draw(st.sampled_from(["", " ", "-", ".", " - ", "\u00a0", "\u2013", "\u200b", "\u200d", "\u2060"]))
    parts, at = [], 0
    for length in groups:
        parts.append(national[at : at + length])
        at += length
    # A gap after "0" of "0712 345 678" is nobody's way of writing; after a country code it is everybody's.
    phone = prefix + (between if prefix not in {"0", "2540"} else "") + between.join(parts)
    return wide(phone) if draw(st.booleans()) else phone


@st.composite
def kra_pins(draw: st.DrawFn) -> str:
    digits = draw(st.text("0123456789", min_size=9, max_size=9))
    first, last = draw(st.sampled_from("APap")), draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcxyz"))
    written = draw(st.sampled_from(["{}{}{}", "{}{}{}", " {} {} {} ", " {}-{}-{} "]))
    pin = written.format(first, digits, last)
    return wide(pin) if draw(st.booleans()) else pin


# Without digits: what is left over is of what should have gone. Without @ and /: a mention or a link takes what follows.
SURROUNDINGS = st.text(max_size=20).map(lambda text: re.sub(r"[\d@/]", "", unicodedata.normalize("NFKC", text)))


def digits_left(text: str) -> str:
    return "".join(re.findall(r"\d", unicodedata.normalize("NFKC", text)))


@given(SURROUNDINGS, kenyan_phones(), SURROUNDINGS)
def test_no_kenyan_phone_survives_whatever_stands_around_it(before: str, phone: str, after: str) -> None:
    assert not digits_left(redact(before + phone + after))


@given(SURROUNDINGS, kra_pins(), SURROUNDINGS)
def test_no_kra_pin_survives_whatever_stands_around_it(before: str, pin: str, after: str) -> None:
    assert not digits_left(redact(before + pin + after))


PIECES = [(form, placeholder) for placeholder, forms in REPLACED.items() for form in forms] + [
    (kept, kept) for kept in KEPT if not kept.startswith(("@", "cc:"))
]


@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([" na ", " , ", " ; ", " … "])), min_size=2))
def test_many_things_in_one_text_are_each_treated_as_alone(pieces: list[tuple[tuple[str, str], str]]) -> None:
    text = "".join(written + joiner for (written, _), joiner in pieces)
    expected = "".join(placeholder + joiner for (_, placeholder), joiner in pieces)
    assert redact(text) == unicodedata.normalize("NFKC", expected)


SIGNS = st.sampled_from(
    ["İD 1234567", "B\u0131ll 12345", "\u0130nv QXRBLN", "MIT\u0130 12345", "TCKABXYQZL", "S\u0130A1B2C3D4", "www.", "u/", "a/c", "1\u03012", "²³"]
)  # fmt: skip


@given(st.lists(FRAGMENTS | SIGNS, max_size=10).map("".join), st.none() | st.text(max_size=10))
def test_the_patterns_that_are_left_out_would_have_found_nothing(text: str, author: str | None) -> None:
    whole = redact(text, author=author, keep_handles=official_handles(), abridged=False)
    assert redact(text, author=author, keep_handles=official_handles()) == whole
