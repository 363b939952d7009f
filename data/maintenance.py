"""The time that maintenance is announced for, where the text states it plainly: no window rather than a wrong one.

A text is read as a row of dates, clocks and the few words that may stand between them, each a letter; `_WINDOW` says which
rows are a window. Any other word between them breaks the row, and what leaves the day or its half open gives none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = timedelta(days=7)
DAYS_AHEAD = 90
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SIKU = ("jumatatu", "jumanne", "jumatano", "alhamisi", "ijumaa", "jumamosi", "jumapili")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
MIEZI = (
    "januari",
    "februari",
    "machi",
    "aprili",
    "mei",
    "juni",
    "julai",
    "agosti",
    "septemba",
    "oktoba",
    "novemba",
    "desemba",
)
# Kiswahili counts from six: saa moja is seven, saa sita twelve. Which half is meant the part of the day says, by the hours it can have.
SAA = ("sita", "saba", "nane", "tisa", "kumi", "kumi na moja", "kumi na mbili", "moja", "mbili", "tatu", "nne", "tano")
PARTS = {
    "alfajiri": (3, 4, 5, 6),
    "asubuhi": (5, 6, 7, 8, 9, 10, 11),
    "mchana": (11, 12, 13, 14, 15, 16),
    "jioni": (16, 17, 18, 19),
    "usiku": (19, 20, 21, 22, 23, 0, 1, 2, 3, 4),
}
# A plan that was changed, is over or repeats, a week that may be another, another clock, and hours of something else.
UNPLAIN = re.compile(
    r"\b(?:was|were|had|completed|concluded|ended|success\w*|next|following|last|past|previous|ijayo|jana)\b|kamilika|pita\b"
    r"|lifany|postpon|cancel|resched|called off|exten[ds]|lengthen|\bmove[ds]?\b|moving|shift|push|chang|revis|forward|instead"
    r"|ahirish|sogez|ongezwa|hamish|badilik|kuamkia|daily|nightly|every|\beach\b|\bkila\b|\b(?:gmt|utc|bst)\b"
    r"|\bopen|\bwazi\b|offices?\b(?! of)|\bofisi|working hours|call cent|desk\b|counter|branch|tawi\b|vituo"
)
# What is denied, doubted or asked, comes back, goes on, or is off in part. "Not available" and the like says that something is off.
_OFF = r"(?:be )?(?:available|accessible|accessed|reachable|reached|used)\b"
DENIED = re.compile(
    rf"\b(?:not|cannot|\w+n't|(?:wo|ca|do|is|are|does)nt)\b(?! {_OFF})"
    r"|\b(?:no|never|neither|nor|none|without|despite|contrary|false|fake|untrue|incorrect|wrong|beware)\b|\?"
    r"|\bden(?:y|ie)|rumou?r|hoax|misl[ei]|misinf|disinf|claim|alleg|purport|disregard|ignore|dismiss|scam|fraud|debunk"
    r"|\b(?:si|sio|feki|bandia)\b|uongo|uzushi|uvumi|ghushi|kanush|kanuni|puuz|potofu|tahadhari"
    r"|\bha(?:tu|u|i|zi|ya|yu|ku|vi|m)(?!\w*(?:patikan|tumik|wezekan)|tafanya kazi|taweza)\w{2,}"
    r"|(?<!\bnot )(?<!\bnot be )(?<!n't be )(?<!wont be )\bavailable\b|\b(?:zi|u|i|ya|li|ki)(?:ta|na)patikan"
    r"|resum|restor|\bback\b|\bagain\b|continu|remain|\bstays?\b|as usual|normal|rejea|rejesh|rudi\b|endelea|kawaida"
    r"|uninterrupt|unaffect|\b(?:only|some|except|partial\w*|selected|certain|paybill)\b|other (?:than|services)"
    r"|pekee|baadhi|isipokuwa"
)
# Whose maintenance it is where one of these is named beside eCitizen, no rule can tell.
OTHERS = re.compile(
    r"\b(?:kra|i-?tax|e?-?tims|ntsa|nhif|sha|shif|nssf|helb|huduma (?:cent|kenya|namba|number|card|mashinani|whatsapp)\w*|immigration"
    r"|uhamiaji|dci|brs|ardhi ?sasa|iebc|knec|kuccps|tsc|kplc|kenya power|m-?pesa|safaricom|airtel|telkom|banks?|benki|sacco|kcb|equity"
    r"|absa|ncba|count(?:y|ies)|kaunti|judiciary|mahakama|university|consulate|embassy|high commission|ubalozi)\b"
)


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_WEEKDAYS = {name: at % 7 for at, name in enumerate((*DAYS, *SIKU, *(day[:3] for day in DAYS)))}
_MONTHS = {name: at % 12 + 1 for at, name in enumerate((*MONTHS, *MIEZI, *(month[:3] for month in MONTHS)))}
_TO = r"-|–|—|to|until|till|through|hadi|mpaka"
_TOKEN = re.compile(
    rf"""(?P<iso>\b(?P<y0>20\d\d)-(?P<m0>\d\d)-(?P<d0>\d\d)\b)
    |(?P<slashed>\b(?P<d1>\d\d?)/(?P<m1>\d\d?)/(?P<y1>20\d\d)\b)
    |(?P<day_first>\b(?P<d2>\d\d?)(?:st|nd|rd|th)?[ ](?:of[ ])?(?P<m2>{_any(_MONTHS)})\b(?:,?[ ](?P<y2>20\d\d)\b)?)
    |(?P<month_first>\b(?P<m3>{_any(_MONTHS)})[ ](?P<d3>\d\d?)(?:st|nd|rd|th)?\b(?:,?[ ](?P<y3>20\d\d)\b)?)
    |(?P<half>\b(?<!\d[.:])(?P<h4>\d\d?)(?:[:.](?P<n4>\d\d))?[ ]?(?P<ap>[ap])(?:m\b|\.[ ]?m\b\.?))
    |(?P<hours>\b(?P<h5>\d\d):?(?P<n5>\d\d)[ ]?(?:hrs|hours|h)\b)
    |(?P<full>\b(?<!\d[.:])(?P<h6>\d\d):(?P<n6>\d\d)\b)
    |(?P<named>\b(?:12[ ])?(?P<name>midnight|noon)\b)
    |(?P<saa>\bsaa[ ](?P<saa_hour>{_any(SAA)})\b(?P<nusu>[ ]na[ ]nusu\b)?(?:[ ](?:za[ ]|ya[ ])?(?P<part>{_any(PARTS)})\b)?)
    |(?P<bare>\b(?<!\d[.:])(?P<h7>\d\d?)(?=[ ]?(?:{_TO}|and)[ ]?\d\d?(?:[:.]\d\d)?[ ]?[ap]\.?m))
    |(?P<nth>\b(?P<d4>\d\d?)(?:st|nd|rd|th)\b)
    |(?P<weekday>\b(?:{_any(_WEEKDAYS)})\b)
    |(?P<near>\b(?:tonight|usiku[ ]wa[ ]leo|leo[ ]usiku|today|leo|tomorrow|kesho(?![ ]kutwa))\b)
    |(?P<between>\b(?:between|kati[ ]ya)\b)
    |(?P<to>\b(?:to|until|till|through|hadi|mpaka)\b|[-–—])
    |(?P<and>\b(?:and|na)\b)
    |(?P<fill>\b(?:from|on|at|this|starting|kuanzia|kutoka|mnamo|siku[ ]ya|tarehe|hii|saa|date|time|muda|eat)\b|[^\w.!?<>])
    |(?P<other>\w+|.)""",
    re.VERBOSE | re.DOTALL,
)
_LETTERS = dict.fromkeys(("iso", "slashed", "day_first", "month_first", "nth", "weekday", "near"), "d")
_LETTERS |= dict.fromkeys(("half", "hours", "full", "named", "saa", "bare"), "c")
_LETTERS |= {"between": "b", "to": "t", "and": "a", "other": "x"}
# Dates (d) may stand before or after each of two clocks (c): "from c to c" or "between c and c".
_WINDOW = re.compile(
    "(?P<before>d?)(?P<between>b?)(?P<inside>d?)(?P<first>c)(?P<after>d?)(?P<to>[ta])(?P<end_before>d?)(?P<last>c)(?P<end_after>d?)"
)
Date = dict[str, int]  # what is said of a day: year, month, day, weekday, ahead (of today), tonight
NO_DAY: Date = {"month": 0}


@dataclass(frozen=True)
class _Clock:
    """`doubt` is what the other clock must settle: the half of the day (`bare`, `saa`), or whether it is one of 24 hours (`full`).

    `is_night` where it is midnight or, in Kiswahili, later at night: of which day that is, only "tonight" says.
    """

    hour: int
    minute: int = 0
    doubt: str = ""
    part: str = ""
    is_night: bool = False


def stated_window(text: str, said_at: datetime, about: str = "ecitizen") -> tuple[datetime, datetime] | None:
    """From when to when, where the text states one window and it was not over when it was said; else None.

    What is about eCitizen and names somebody else gives none.
    """
    text = re.sub(r"\s+", " ", text.lower().replace("’", "'"))
    if UNPLAIN.search(text) or DENIED.search(text) or (about == "ecitizen" and OTHERS.search(text)):
        return None
    said = said_at.astimezone(NAIROBI)
    letters, values = _read(text)
    found = set()
    for match in _WINDOW.finditer(letters):
        if letters[: match.start()].endswith(("t", "a")) or re.match("[ta][cd]", letters[match.end() :]):
            return None  # more is joined to it than one window
        part = {name: values[match.start(name)] for name, letter in match.groupdict().items() if letter}
        found.add(_window(part, said) if match["to"] == "t" or match["between"] else None)
    return found.pop() if len(found) == 1 else None


def _read(text: str) -> tuple[str, list[Any]]:
    """The row of letters, and for each what it stands for."""
    letters, values = "", list[Any]()
    for token in _TOKEN.finditer(text):
        kind = str(token.lastgroup)
        letter = _LETTERS.get(kind, "")
        if letter == "d":
            value = _date(kind, token)
            if letters.endswith("d"):  # "Saturday 14 March": all of it must be true of one day
                known = values[-1]
                is_one = all(known.get(name, wanted) == wanted for name, wanted in value.items())
                values[-1] = known | value if is_one else NO_DAY
            else:
                letters, values = letters + letter, [*values, value]
        elif letter:
            clock = _clock(kind, token) if letter == "c" else None
            letters, values = letters + ("x" if letter == "c" and clock is None else letter), [*values, clock]
    return letters, values


def _date(kind: str, token: re.Match[str]) -> Date:
    if kind == "weekday":
        return {"weekday": _WEEKDAYS[token[0]]}
    if kind == "near":
        tonight = {"tonight": 1} if token[0] in ("tonight", "usiku wa leo", "leo usiku") else {}
        return {"ahead": int(token[0] in ("tomorrow", "kesho"))} | tonight
    if kind == "nth":
        return {"day": int(token["d4"])}
    at = ("iso", "slashed", "day_first", "month_first").index(kind)
    month, year = token[f"m{at}"], token[f"y{at}"]
    found = {"day": int(token[f"d{at}"]), "month": _MONTHS.get(month) or int(month)}
    return found | {"year": int(year)} if year else found


def _clock(kind: str, token: re.Match[str]) -> _Clock | None:
    """None for what no clock shows."""
    if kind == "named":
        return _Clock(12) if token["name"] == "noon" else _Clock(0, is_night=True)
    if kind == "saa":
        hour, minute, part = SAA.index(token["saa_hour"]), 30 if token["nusu"] else 0, token["part"] or ""
        return _Clock(hour, minute, "saa") if not part else _in_part(hour, minute, part)
    if kind == "half":
        hour, minute = int(token["h4"]), int(token["n4"] or 0)
        if not 1 <= hour <= 12 or minute > 59:
            return None
        return _Clock(hour % 12 + 12 * (token["ap"] == "p"), minute, "", "half", (hour, token["ap"]) == (12, "a"))
    hour = int(token["h5"] or token["h6"] or token["h7"])
    minute = int(token["n5"] or token["n6"] or 0)
    return _Clock(hour, minute, "" if kind == "hours" else kind) if hour < 24 and minute < 60 else None


def _in_part(hour: int, minute: int, part: str) -> _Clock | None:
    """An hour of twelve in its part of the day; None where that part has no such hour."""
    at = next((each for each in PARTS[part] if each % 12 == hour % 12), None)
    return None if at is None else _Clock(at, minute, "", part, part == "usiku" and at < 6)


def _settled(first: _Clock, last: _Clock) -> tuple[_Clock, _Clock] | None:
    """Both without a doubt, or None."""
    if last.doubt in ("saa", "bare"):
        return None
    full = [clock.hour for clock in (first, last) if clock.doubt == "full"]
    if full and not any(hour == 0 or hour > 12 for hour in full):
        return None  # "08:00 to 05:00" may be that of an afternoon
    if first.doubt == "bare":
        if last.part != "half" or not 1 <= first.hour <= 12:
            return None
        first = _Clock(first.hour % 12 + 12 * (last.hour >= 12), 0, "", "half", first.hour == 12 and last.hour < 12)
        return (first, last) if first.hour < last.hour else None
    if first.doubt == "saa":
        hours = PARTS.get(last.part, ())
        in_part = _in_part(first.hour, first.minute, last.part) if hours else None
        if in_part is None or hours.index(in_part.hour) >= hours.index(last.hour):
            return None
        first = in_part
    return first, last


def _window(part: dict[str, Any], said: datetime) -> tuple[datetime, datetime] | None:
    """The window of one row: its clocks, and the dates beside them."""
    clocks = _settled(part["first"], part["last"])
    begins = [part[name] for name in ("before", "inside", "after") if name in part]
    ends = [part[name] for name in ("end_before", "end_after") if name in part]
    if clocks is None or len(begins) > 1 or len(ends) > 1:
        return None
    first, last = clocks
    if not begins:  # "1am to 3am on Thursday"; where midnight lies between, the day may be that of either
        if "end_after" not in part or (first.hour, first.minute) >= (last.hour, last.minute):
            return None
        begins, ends = ends, []
    begin = _first_day(begins[0], said)
    is_tonight = "tonight" in begins[0]
    if begin is None or (first.is_night and not is_tonight) or (is_tonight and 6 <= first.hour < 18):
        return None
    if is_tonight and first.hour < 6:
        begin += timedelta(days=1)
    start = datetime(begin.year, begin.month, begin.day, first.hour, first.minute, tzinfo=NAIROBI)
    if ends:
        days = [begin + timedelta(days=number) for number in range(LONGEST.days)]
        on = next((day for day in days if _fits(day, ends[0], said)), None)
        if on is None or last.is_night or "tonight" in ends[0]:
            return None
    else:
        on = begin + timedelta(days=(last.hour, last.minute) <= (first.hour, first.minute))
    end = datetime(on.year, on.month, on.day, last.hour, last.minute, tzinfo=NAIROBI)
    return (start, end) if start < end and end > said else None


def _first_day(wanted: Date, said: datetime) -> date | None:
    """The one day that is meant, from the day of saying on."""
    if "ahead" in wanted:
        near = range(2) if said.hour >= 4 else range(0)  # who is up so late may mean either day by "tonight"
    elif "month" in wanted:
        near = range(DAYS_AHEAD)
    elif wanted.keys() == {"weekday"}:
        near = range(1, 7)  # said on a Saturday, "Saturday" is today or a week ahead
    else:
        near = range(28) if "weekday" in wanted else range(0)
    return next(
        (day for day in (said.date() + timedelta(days=number) for number in near) if _fits(day, wanted, said)), None
    )


def _fits(day: date, wanted: Date, said: datetime) -> bool:
    ahead = (day - said.date()).days
    known = {
        "year": day.year,
        "month": day.month,
        "day": day.day,
        "weekday": day.weekday(),
        "ahead": ahead,
        "tonight": 1,
    }
    return all(known[name] == value for name, value in wanted.items())
