"""Personal data out of a text, before the first write and before the model reads it.

What is recognised becomes a placeholder; `docs/privacy.md` lists what is not (names in free text, number plates).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Callable

PLACEHOLDERS = ("<PHONE>", "<ID>", "<KRAPIN>", "<TXN>", "<ACC>", "<EMAIL>", "<CARD>", "<URL>")
MENTION = "@user"

# Invisible characters that could hide a number from the patterns below. A joiner between emoji is left alone.
_INVISIBLE = re.compile(r"[\u00ad\u200b\u200c\u200e\u200f\u2060\ufeff]|(?<=[\w@.])\u200d(?=[\w@.])")
_WORTH_A_LOOK = re.compile(r"[\d@]|://|www\.|\bu/|\.(?:com|co|ly|me|ke|gl)/", re.IGNORECASE)

_EMAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,5}[a-z]{2,24}(?!\w)", re.IGNORECASE)
_FEDIVERSE = re.compile(r"(?<![\w.@/])@[\w.-]{1,64}@(?:[\w-]{1,63}\.){1,5}[a-z]{2,24}(?!\w)", re.IGNORECASE)
_URL = re.compile(
    r"\bhttps?://\S+|\bwww\.\S+|(?<![@\w.-])(?:[a-z0-9-]{1,63}\.){1,5}(?:com|co|ly|me|ke|gl|gd|org|net|io|app|link|ee)/\S*",
    re.IGNORECASE,
)
_AT = re.compile(r"(?<![\w@])@(\w{1,64}(?:\.[\w-]{1,63})*)")
_REDDIT_USER = re.compile(r"(?<![\w/])/?u/[\w-]{3,20}(?!\w)")
_KRA_PIN = re.compile(r"(?<![^\W_])[AP][ -]?(?:\d[ -]?){9}[A-Z](?![^\W_])", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w+])\d(?:[ -]?\d){12,18}(?!\w)")
_KENYAN_PHONE = re.compile(
    r"(?<!\w)(?:(?:\+|00)?254[\s.-]*(?:\(0\)[\s.-]*|0)?|\(?0)[\s.-]*[17]\)?(?:[\s.()-]{0,2}\d){8}(?!\d)"
)
_BARE_PHONE = re.compile(r"(?<![\w.,/-])[17]\d{2}[ -]?\d{3}[ -]?\d{3}(?![\w/]|[.,]\d)")
_OTHER_PHONE = re.compile(r"(?<!\w)(?:\+|00)[1-9](?:[\s.()-]{0,2}\d){6,14}(?!\d)")
_LANDLINE = re.compile(r"(?<![\w.,])\(?0[2-6]\d\)?[ -]?\d{3}[ -]?\d{3,4}(?!\w)")
# M-Pesa receipts: a letter for the year, A-L for the month, 1-9 or A-V for the day, then seven more.
_RECEIPT = re.compile(r"(?<![^\W_])[A-Z][A-L][1-9A-V][A-Z0-9]{7}(?![^\W_])", re.IGNORECASE)
_RECEIPT_CONTEXT = re.compile(
    r"\b(?:code|ref|reference|txn|trans\w*|receipt|risiti|msg|message|confirmed)\b", re.IGNORECASE
)
_PASSPORT = re.compile(r"(?<![^\W_])[A-C][A-Z]?\d{6,7}(?![^\W_])", re.IGNORECASE)
_ID_NUMBER = re.compile(r"(?<![\w.,/:=$€£+-])\d{7,8}(?!\w|[.,/:]\d)")
_ACCOUNT = re.compile(
    r"\b(?P<label>a/?c|acc|acct|account|akaunti|invoice|inv|ankara|bill|order|ticket|application|ref|reference|serial|token|meter|mita)"
    r"(?P<gap>\.?\s?(?:no|num|number|nambari|namba|id|code|ni|is|iko|#)?\.?\s{0,2}[:#=-]?\s{0,2})"
    r"(?P<number>[A-Z0-9][A-Z0-9-]{3,30}[A-Z0-9])(?!\w)",
    re.IGNORECASE,
)
_LONG_NUMBER = re.compile(r"(?<![\w.,+])\d(?:[ -]?\d){8,30}(?!\w|[.,]\d)")
_MONEY_BEFORE = re.compile(r"(?:ksh?s?|kes|shs?|usd|tzs|ugx|sh|sum of|amount(?: of)?|[$€£=])\.?\s*$", re.IGNORECASE)
_MONEY_AFTER = re.compile(
    r"^\s*(?:/[=-]|bob\b|shillings?\b|ksh\b|kes\b|million\b|people\b|kenyans\b|users\b|watu\b)", re.IGNORECASE
)


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 if index % 2 else int(digit) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(character)) for character in text if character.isdigit())


def _is_money(match: re.Match[str]) -> bool:
    before, after = (
        match.string[max(0, match.start() - 16) : match.start()],
        match.string[match.end() : match.end() + 12],
    )
    return bool(_MONEY_BEFORE.search(before) or _MONEY_AFTER.match(after))


def _card(match: re.Match[str]) -> str:
    return "<CARD>" if _luhn(_digits(match[0])) else match[0]


@lru_cache(maxsize=4096)
def _is_foreign_phone(candidate: str) -> bool:
    try:
        number = phonenumbers.parse(re.sub(r"^00", "+", candidate), "KE")
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_possible_number(number))


def _foreign_phone(match: re.Match[str]) -> str:
    return "<PHONE>" if _is_foreign_phone(match[0]) else match[0]


def _receipt(match: re.Match[str]) -> str:
    code = match[0]
    digits = sum(character.isdigit() for character in code)
    if digits == 0 and not (
        code.isupper() and _RECEIPT_CONTEXT.search(match.string[max(0, match.start() - 40) : match.start()])
    ):
        return code
    return "<TXN>"


def _bare_number(placeholder: str) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        return match[0] if _is_money(match) or _is_date(match[0]) else placeholder

    return replace


def _is_date(number: str) -> bool:
    if len(number) != 8:
        return False
    for form in ("%Y%m%d", "%d%m%Y"):
        try:
            moment = datetime.strptime(number, form)  # noqa: DTZ007 - only asks whether it is a date
        except ValueError:
            continue
        if 1990 <= moment.year <= 2050:
            return True
    return False


def _account(match: re.Match[str]) -> str:
    number = match["number"]
    digits = sum(character.isdigit() for character in number)
    # The paybills of eCitizen are public, and words follow "account" more often than numbers do.
    if number in {"222222", "206206"} or (
        digits < 3 and not (number.isupper() and match["label"].lower() in {"invoice", "inv", "bill"})
    ):
        return match[0]
    if digits == len(number) and len(number) < 5:
        return match[0]
    return f"{match['label']}{match['gap']}<ACC>"


def normalise(text: str) -> str:
    """The text in Unicode NFKC without the invisible characters that can hide a number."""
    if text.isascii():
        return text
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def redact(text: str, *, author: str | None = None, keep_handles: frozenset[str] = frozenset()) -> str:
    """The text with personal data replaced by placeholders and mentions by `@user`.

    `author`, the handle of who wrote it, is taken out wherever it stands; `keep_handles`, lower case and without @,
    are the official accounts, whose mentions stay. Redacting a redacted text changes nothing.
    """
    text = normalise(text)
    if author and len(author) > 3 and author.lower() in text.lower():
        text = re.sub(rf"(?<!\w)@?{re.escape(author)}(?!\w)", MENTION, text, flags=re.IGNORECASE)
    if not _WORTH_A_LOOK.search(text):
        return _RECEIPT.sub(_receipt, text)

    def mention(match: re.Match[str]) -> str:
        handle = match[1].rstrip(".")
        return match[0] if handle.lower() in keep_handles else MENTION + match[1][len(handle) :]

    text = _FEDIVERSE.sub(MENTION, text)
    text = _EMAIL.sub("<EMAIL>", text)
    text = _URL.sub("<URL>", text)
    text = _AT.sub(mention, text)
    text = _REDDIT_USER.sub(MENTION, text)
    if not re.search(r"\d", text):
        return _RECEIPT.sub(_receipt, text)
    text = _KRA_PIN.sub("<KRAPIN>", text)
    text = _KENYAN_PHONE.sub("<PHONE>", text)
    text = _CARD.sub(_card, text)
    text = _OTHER_PHONE.sub(_foreign_phone, text)
    text = _RECEIPT.sub(_receipt, text)
    text = _PASSPORT.sub("<ID>", text)
    text = _LANDLINE.sub("<PHONE>", text)
    text = _ACCOUNT.sub(_account, text)
    text = _BARE_PHONE.sub(_bare_number("<PHONE>"), text)
    text = _ID_NUMBER.sub(_bare_number("<ID>"), text)
    return _LONG_NUMBER.sub(_bare_number("<ACC>"), text)
