"""Personal data out of a text, before the first write and before the model reads it.

What is recognised becomes a placeholder; `docs/privacy.md` lists what is not (names in free text, number plates).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import phonenumbers
import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PLACEHOLDERS = ("<PHONE>", "<ID>", "<KRAPIN>", "<TXN>", "<ACC>", "<EMAIL>", "<CARD>", "<URL>")
MENTION = "@user"
_PASSES = 8

# Invisible characters that could hide a number from the patterns below. A joiner between emoji is left alone.
_MAYBE_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u20e3]"  # a quick look for those below
)
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
    r"|(?<=[\w\s@.()+-])\u200d|\u200d(?=[\w\s@.()+-])|(?<=\d)\ufe0f?\u20e3"
)
_DASH = "\\-\u2010-\u2015\u2212"  # the characters themselves: RE2 knows no \\u
_WORD_STARTS, _WORD_ENDS = r"(?<![^\W_])", r"(?![^\W_])"  # an underscore is none of the word
_GAP = rf"[\s._(){_DASH}]{{0,4}}"  # between the digits of a phone number
# A date is followed by a time more often than a number begins like one.
_YEAR, _MONTH, _DAY = r"(?:19|20)\d{2}", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = rf"(?:{_DAY}[./-]{_MONTH}[./-]{_YEAR}|{_YEAR}[./-]{_MONTH}[./-]{_DAY})(?!\d)"
# 12,345,678.50 and 3.14159265 are amounts: a number next to a comma or point is one where the other side is short.
_NOT_AFTER_PART = "".join(rf"(?<!(?<!\d)\d{{{length}}}[.,/:-])" for length in (1, 2, 3))
_NOT_BEFORE_PART = r"(?!\w|[.,]\d{1,3}(?!\d))"
_DATE_OR_YEARS = re.compile(rf"{_DATE}|{_YEAR}(?:[ /-]{_YEAR})+")

_EMAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,5}[a-z]{2,24}", re.IGNORECASE)
_FEDIVERSE = re.compile(r"@(?<![\w.@/]@)[\w.-]{1,64}@(?:[\w-]{1,63}\.){1,5}[a-z]{2,24}", re.IGNORECASE)
_URL = re.compile(
    r"\bhttps?://\S+|\bwww\.\S+|(?<![@\w.-])(?:[a-z0-9-]{1,63}\.){1,5}(?:com|co|ly|me|ke|gl|gd|org|net|io|app|link|ee)/\S*",
    re.IGNORECASE,
)
_AT = re.compile(r"@(?<!@@)(\w[\w-]*(?:\.[\w-]+)+|\w+)")
_REDDIT_USER = re.compile(r"(?<![\w/])(?:/?u|/user)/[\w-]{3,20}(?!\w)", re.IGNORECASE)
# A pattern below that begins with what it looks for, before what may not stand there, fails fast everywhere else.
_KRA_PIN = re.compile(
    rf"[APap](?:\d{{9}}[A-Z]|(?<![^\W_].)[ .{_DASH}]?(?:\d[ .{_DASH}]?){{9}}[A-Z]{_WORD_ENDS})", re.IGNORECASE
)
_CARD = re.compile(rf"(?=\d)(?<![\w+])(?!{_DATE})\d(?:[ .{_DASH}]?\d){{12,18}}(?!\w)")
_KENYAN_PHONE = re.compile(
    rf"(?=[+(02])(?<!\d)(?!{_DATE})(?:(?:\+|00)?254{_GAP}(?:0{_GAP})?|(?:\((?=0\d{{1,3}}\)))?0{_GAP})[17](?:{_GAP}\d){{8}}(?!\d)"
)
_BARE_PHONE = re.compile(
    rf"(?=[17])(?<!\w){_NOT_AFTER_PART}[17]\d{{2}}[ {_DASH}]?\d{{3}}[ {_DASH}]?\d{{3}}{_NOT_BEFORE_PART}"
)
_OTHER_PHONE = re.compile(rf"(?=[+0])(?<!\w)(?:\+|00)[1-9](?:{_GAP}\d){{6,14}}(?!\d)")
_LANDLINE = re.compile(r"(?=[(0])(?<!\w)(?<!\d[.,])\(?0[2-6]\d\)?[ -]?(?:\d{3}[ -]?\d{3,4}|\d{4}[ -]?\d{3})(?!\w)")
# M-Pesa receipts: a letter for the year, A-L for the month, 1-9 or A-V for the day, then seven more.
_RECEIPT = re.compile(
    rf"{_WORD_STARTS}[A-Z][A-L](?:(?P<day>[1-9A-V])|[A-Z0-9])[A-Z0-9]{{7}}{_WORD_ENDS}", re.IGNORECASE
)
_RECEIPT_CONTEXT = re.compile(
    r"\b(?:code|ref|reference|txn|trans\w*|receipt|risiti|msg|message|confirmed)\b", re.IGNORECASE
)
_PASSPORT = re.compile(rf"{_WORD_STARTS}(?:[A-C][A-Z]?\d{{6,7}}|[A-C]K \d{{6}}){_WORD_ENDS}", re.IGNORECASE)
_LABELLED_ID = re.compile(
    r"(?=[iI\u0130\u0131kKmM])\b(?P<label>id|i\.d\.?|kitambulisho|maisha)"
    r"(?P<gap>(?:\s?(?:no|num|number|card|nambari|namba|cha|ya|yangu|changu|is|ni)\b\.?|\s?no\.?){0,3}\s{0,2}[:;#=/.(-]?\s{0,2})"
    r"(?:\d{6,9}|\d{1,2}[ .,-]\d{3}[ .,-]\d{3})(?!\w|[.,]\d)",
    re.IGNORECASE,
)
_LABELS = (
    r"(?:a(?:/?c|cc|cct|ccount|kaunti|nkara|pplication)|inv(?:oice)?|bill|order|t(?:icket|oken)|ref(?:erence)?|serial|meter|mita)"
    r"(?![^\W\d_])"
)
_ACCOUNT_LABEL = (
    rf"\b(?P<label>{_LABELS})"
    r"(?P<gap>(?:\.?\s?(?:no|num|number|nambari|namba|yangu|yake|ya|id|code|ni|is|iko|#)){0,3}\.?\s{0,2}[:#=-]?\s{0,2})"
)
_ACCOUNT = re.compile(
    rf"{_ACCOUNT_LABEL}(?P<number>(?!{_LABELS})[A-Z0-9][A-Z0-9/-]{{3,30}}[A-Z0-9])(?!\w)", re.IGNORECASE
)
_ID_NUMBER = re.compile(rf"(?=\d)(?<![\w+]){_NOT_AFTER_PART}\d{{7,8}}{_NOT_BEFORE_PART}")
_LONG_NUMBER = re.compile(rf"(?=\d)(?<!\w){_NOT_AFTER_PART}(?!{_DATE})\d(?:[ {_DASH}]?\d){{8,}}{_NOT_BEFORE_PART}")
_CURRENCY = r"(?:ksh?s?|kes|shs?|shilingi|usd|tzs|ugx|[$€£])"
_MONEY_BEFORE = re.compile(rf"(?:{_CURRENCY}|sum of|amount(?: of)?)[.:=]?\s*$", re.IGNORECASE)
_MONEY_AFTER = re.compile(
    r"^\s*(?:/[=-]|(?:bob|shillings?|shilingi|ksh|kes|million|people|kenyans|wakenya|citizens|users|watu|transactions|applications)\b)",
    re.IGNORECASE,
)
# What is written on every wall or letter: where to pay, and boxes of the post.
_PUBLIC_BEFORE = re.compile(
    r"\b(?:till|pay ?bill|buy goods|business|box)\b(?:[ .]{0,2}(?:no|number|nambari|namba|ni|is)\b){0,2}[.:#]?\s*$",
    re.IGNORECASE,
)
_NUMBER_WORD = re.compile(r"\b(?:no|num|number|nambari|namba)\b|[:#]", re.IGNORECASE)
_NO_SYLLABLES = re.compile(r"[B-DF-HJ-NP-TV-XZ]{4}|^[^AEIOU]+$")


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 if index % 2 else int(digit) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(character)) for character in text if character.isdigit())


def _is_money(match: re.Match[str], group: str | int = 0) -> bool:
    start, end = match.span(group)
    before, after = match.string[max(0, start - 16) : start], match.string[end : end + 16]
    return bool(_MONEY_BEFORE.search(before) or _MONEY_AFTER.match(after))


def _is_public(match: re.Match[str]) -> bool:
    return bool(_PUBLIC_BEFORE.search(match.string[max(0, match.start() - 32) : match.start()]))


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
    has_digits = any(map(str.isdigit, code))
    if has_digits and match["day"]:
        return "<TXN>"
    # Ten capitals, or a day that no month has, which somebody may have mistyped.
    named = _RECEIPT_CONTEXT.search(match.string[max(0, match.start() - 40) : match.start()])
    return "<TXN>" if named and (has_digits or (code.isupper() and match["day"])) else code


def _bare_number(placeholder: str) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        return match[0] if _is_money(match) or _is_public(match) or _is_date(match[0]) else placeholder

    return replace


def _is_date(number: str) -> bool:
    first, *others = number.split()
    if _DATE_OR_YEARS.fullmatch(number) or (others and set(others) == {first}):  # "404 404 404" is no number either
        return True
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


def _is_invoice(match: re.Match[str]) -> bool:
    """Six capitals or so that are no word: after "invoice no", or where nobody could say them."""
    label, gap = match["label"], match["gap"]
    if label.lower() not in {"invoice", "inv", "bill"}:
        return False
    shouted = label.isupper() and not gap.strip()  # "MY BILL TODAY" is no number of a bill
    return bool(_NUMBER_WORD.search(gap) or (not shouted and _NO_SYLLABLES.search(match["number"])))


def _account(match: re.Match[str]) -> str:
    number = match["number"]
    digits = sum(map(str.isdigit, number))
    # Words follow "account" more often than numbers do, and the paybills of eCitizen are public.
    if digits < 3 and not (number.isupper() and (digits == 2 or _is_invoice(match))):
        return match[0]
    if number in {"222222", "206206"} or _DATE_OR_YEARS.fullmatch(number):
        return match[0]
    if _is_money(match, "number") or re.match(rf"{_CURRENCY}\d", number, re.IGNORECASE):
        return match[0]
    return f"{match['label']}{match['gap']}<ACC>"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern and what takes its place; None for a mention, which the official accounts keep.

    `shows` is what a text of ASCII letters has, for RE2, where the replacement changes anything; else that the pattern is found.
    """

    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str] | None
    shows: str | None = None


# In this order: an earlier one takes what a later one would take for something else.
_RULES = (
    _Rule(_FEDIVERSE, MENTION),
    _Rule(_EMAIL, "<EMAIL>"),
    _Rule(_URL, "<URL>"),
    _Rule(_AT, None),
    _Rule(_REDDIT_USER, MENTION),
    _Rule(_KRA_PIN, "<KRAPIN>"),
    _Rule(_KENYAN_PHONE, "<PHONE>"),
    _Rule(_CARD, _card),
    _Rule(_OTHER_PHONE, _foreign_phone),
    _Rule(_LABELLED_ID, r"\g<label>\g<gap><ID>"),
    _Rule(_RECEIPT, _receipt, r"[A-Za-z]\d|[A-Z]{10}"),
    _Rule(_PASSPORT, "<ID>"),
    _Rule(_LANDLINE, "<PHONE>"),
    _Rule(_ACCOUNT, _account, rf"(?i:{_ACCOUNT_LABEL})(?:(?:[A-Za-z/-]*\d){{3}}|[A-Z0-9/-]{{5}})"),
    _Rule(_BARE_PHONE, _bare_number("<PHONE>")),
    _Rule(_ID_NUMBER, _bare_number("<ID>")),
    _Rule(_LONG_NUMBER, _bare_number("<ACC>")),
)
_EVERY_RULE = tuple(range(len(_RULES)))

# One pass of RE2 over a text says which rules can find anything, in a thirtieth of the time that looking with each takes.
# It knows no lookaround, so that it finds a little more, and letters, digits and spaces of ASCII alone.
_FILTER_BYTES = 8 * 1024 * 1024
_BEYOND_ASCII = re.compile(r"[^\W\x00-\x7f]|[^\S\x00-\x7f]")
_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_ELEMENT = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


def _without_lookaround(pattern: str) -> str:
    """A pattern for RE2 that finds something in every text of ASCII letters where this one does."""
    source = pattern.replace(_WORD_STARTS, r"(?:^|[\W_])").replace(_WORD_ENDS, r"(?:$|[\W_])")
    kept, at, depth = [], 0, 0  # depth: of the parentheses of a lookaround that is being left out
    while at < len(source):
        element = _ELEMENT.match(source, at)
        assert element
        if depth or _LOOKAROUND.match(source, at):
            depth += (element[0] == "(") - (element[0] == ")")
        elif element[0].startswith("["):
            kept.append(element[0].replace(r"\s", r"\s\x0b\x1c-\x1f"))
        else:
            kept.append(element[0].replace(r"\s", r"[\s\x0b\x1c-\x1f]"))
        at = element.end()
    return "".join(kept)


def _filter() -> Any:
    options = re2.Options()
    options.max_mem = _FILTER_BYTES
    options.log_errors = False
    rules = re2.Set.SearchSet(options)
    for rule in _RULES:
        cases = "(?i:{})" if rule.pattern.flags & re.IGNORECASE else "{}"
        rules.Add(_without_lookaround(rule.shows or cases.format(rule.pattern.pattern)))
    rules.Add("")  # found in every text, so that an answer without it is RE2's failure and not "nothing to redact"
    rules.Compile()
    return rules


_FILTER = _filter()


def _rules_for(text: str) -> Collection[int]:
    """The numbers of the rules that can find anything; all of them where RE2 cannot tell."""
    if not text.isascii() and _BEYOND_ASCII.search(text):
        return _EVERY_RULE
    return _FILTER.Match(text) or _EVERY_RULE


def normalise(text: str) -> str:
    """The text in Unicode NFKC without the invisible characters that can hide a number."""
    if text.isascii():
        return text
    while True:
        visible = _INVISIBLE.sub("", text) if _MAYBE_INVISIBLE.search(text) else text
        cleaned = unicodedata.normalize("NFKC", visible)
        if cleaned == text:
            return text
        text = cleaned


def redact(
    text: str, *, author: str | None = None, keep_handles: frozenset[str] = frozenset(), abridged: bool = True
) -> str:
    """The text with personal data replaced by placeholders and mentions by `@user`.

    `author`, the handle of who wrote it, is taken out wherever it stands; `keep_handles`, lower case and without @,
    are the official accounts, whose mentions stay. Redacting a redacted text changes nothing. With `abridged` a pattern
    that cannot find anything is left out, which changes the time alone.
    """
    # Again until nothing changes, as a number can stand in the way of the next; bounded, since posts are hostile input.
    for _ in range(_PASSES):
        redacted = _redact(text, author, keep_handles, abridged)
        if redacted == text:
            break
        text = redacted
    return text


def _redact(text: str, author: str | None, keep_handles: frozenset[str], abridged: bool) -> str:
    text = normalise(text)
    author = author.removeprefix("@") if author else None
    if author and len(author) > 3 and author.lower() in text.lower():
        text = re.sub(rf"(?<!\w)@?{re.escape(author)}(?!\w)", MENTION, text, flags=re.IGNORECASE)

    def mention(match: re.Match[str]) -> str:
        handle, _, sentence = match[1].lower().partition(".")  # "@eCitizenKenya.Why", without a space
        official = match[1].lower() in keep_handles or (handle in keep_handles and "." not in sentence)
        return match[0] if official else MENTION

    found = _rules_for(text) if abridged else _EVERY_RULE
    for number, rule in enumerate(_RULES):
        if number not in found:
            continue
        redacted = rule.pattern.sub(rule.replacement or mention, text)
        if abridged and redacted != text:
            found = _rules_for(redacted)
        text = redacted
    return text
