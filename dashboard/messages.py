"""The words of alerts, in English and Kiswahili: what happened, why, and where to look. No post's text and no handle is in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dashboard.ladder import GRADES
from dashboard.strings import label_name, shown_time
from data.official import NAIROBI
from data.records import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP_PROBLEMS, TOP_WORDS = 3, 5

_TEXTS: dict[str, tuple[str, str]] = {
    "title_opened": ("eCitizen: incident {id} has begun ({level})", "eCitizen: tukio {id} limeanza ({level})"),
    "title_escalated": ("eCitizen: incident {id} is now {level}", "eCitizen: tukio {id} sasa ni {level}"),
    "title_acknowledged": (
        "eCitizen: incident {id}, first official word",
        "eCitizen: tukio {id}, neno rasmi la kwanza",
    ),
    "title_boundary": (
        "eCitizen: incident {id}, {left} minutes left for grade {grade}",
        "eCitizen: tukio {id}, zimebaki dakika {left} za daraja {grade}",
    ),
    "title_unacknowledged": (
        "eCitizen: incident {id}, no official word after {hours} h",
        "eCitizen: tukio {id}, hakuna neno rasmi baada ya muda wa saa {hours}",
    ),
    "title_resolved_too_early": (
        "eCitizen: incident {id} was called resolved too early",
        "eCitizen: tukio {id} limetangazwa kutatuliwa mapema mno",
    ),
    "title_quiet": ("eCitizen: incident {id} is over", "eCitizen: tukio {id} limetulia"),
    "title_rumour": ("eCitizen: a rumour spreads (notice {id})", "eCitizen: uvumi unasambaa (taarifa {id})"),
    "title_blind": ("eCitizen tracker: we are blind", "Kifuatiliaji cha eCitizen: hatuoni"),
    "title_test": ("eCitizen tracker: a test message", "Kifuatiliaji cha eCitizen: ujumbe wa majaribio"),
    "body_test": (
        "The channel {channel} works. Nothing has happened.",
        "Njia {channel} inafanya kazi. Hakuna kilichotokea.",
    ),
    "people": (
        "{people} people posting since {started} EAT, at most {peak} an hour; usual are {usual} posts an hour.",
        "Watu {people} wamechapisha tangu {started} EAT, {peak} kwa saa kwa wingi; kawaida ni machapisho {usual} kwa saa.",
    ),
    "counted": (
        "{counted} of them count: of people who post copies of one text, three.",
        "{counted} kati yao wanahesabiwa: kati ya wanaochapisha nakala za maandishi yale yale, watatu.",
    ),
    "problems": ("They name: {problems}.", "Wanataja: {problems}."),
    "words": ("Words that set it apart: {words}.", "Maneno yanayolitofautisha: {words}."),
    "silent": (
        "No official word is known, {minutes} minutes after it began.",
        "Hakuna neno rasmi linalojulikana, dakika {minutes} tangu lianze.",
    ),
    "next_grade": (
        "A first word before {until} EAT still earns grade {grade}.",
        "Neno la kwanza kabla ya {until} EAT bado linapata daraja {grade}.",
    ),
    "spoken": (
        "First official word: {who}, {status} ({scope}), {at}{precision}.",
        "Neno rasmi la kwanza: {who}, {status} ({scope}), {at}{precision}.",
    ),
    "to_hour": (" (known to the hour)", " (inajulikana kwa saa tu)"),
    "to_day": (" (known to the day)", " (inajulikana kwa siku tu)"),
    "graded": ("Grade {grade}.", "Daraja {grade}."),
    "resolved": (
        "Called resolved by {who}, {at}{precision}; {count} complaints since.",
        "{who} alisema limetatuliwa, {at}{precision}; malalamiko {count} tangu wakati huo.",
    ),
    "over": ("The last of it came at {ended} EAT.", "Ya mwisho yalikuja {ended} EAT."),
    "denied": ("Denied by {who}, {at}{precision}.", "{who} amekanusha, {at}{precision}."),
    "not_denied": ("No official denial is known.", "Hakuna kanusho rasmi linalojulikana."),
    "silent_source": (
        "{source}: not looked at since {since}",
        "{source}: haijaangaliwa tangu {since}",
    ),
    "silent_labels": (
        "labels: posts wait for theirs since {since}",
        "lebo: machapisho yanasubiri tangu {since}",
    ),
    "failing_source": (
        "{source}: no run has ended well since {since}",
        "{source}: hakuna mzunguko uliofaulu tangu {since}",
    ),
    "never": ("ever", "mwanzo"),
    "blind": (
        "What follows is not seen; a quiet chart means nothing until it is. `tracker doctor` says more.",
        "Yafuatayo hayaonekani; chati tulivu haina maana hadi yaonekane. `tracker doctor` inaeleza zaidi.",
    ),
    "not_affected": (
        "Counted are people posting, not people affected.",
        "Wanaohesabiwa ni watu wanaochapisha, si wote walioathirika.",
    ),
    "synthetic": ("DEMO: the posts are synthetic.", "DEMO: machapisho ni ya kubuni."),
    "pretended": (
        "REPLAY: the clock is pretended, it shows {now} EAT.",
        "REPLAY: saa ni ya kuigiza, inaonyesha {now} EAT.",
    ),
    "late": (
        "Late: this was written at {made} EAT, and could not be delivered or was held by quiet hours until now.",
        "Umechelewa: uliandikwa {made} EAT, haukuweza kufika au ulisubiri saa za utulivu hadi sasa.",
    ),
    "minor": ("minor", "dogo"),
    "major": ("major", "kubwa"),
    "severe": ("severe", "kali"),
}


@dataclass(frozen=True)
class Stamp:
    """What an alert must say of its data: synthetic posts, a pretended clock."""

    synthetic: bool = False
    pretended: datetime | None = None


@dataclass(frozen=True)
class Blindness:
    """What is not seen: a source that is silent or failing, or labels that do not come; `since` None means since ever."""

    what: str
    source: str
    since: datetime | None


def text(language: str, name: str, **values: object) -> str:
    """The text `name` in a language, with its values filled in."""
    return _TEXTS[name][language == "sw"].format(**values)


def of_incident(
    kind: str, record: dict[str, Any], now: datetime, language: str, link: str, stamp: Stamp
) -> tuple[str, str]:
    """Title and body of an alert about an incident, from its record."""
    started = parse_time(record["started_at"])
    minutes = int((now - started) / timedelta(minutes=1))
    ahead = next(((limit, grade) for limit, grade in GRADES if minutes < limit), None)
    title = text(
        language,
        f"title_{kind}",
        id=record["id"],
        level=text(language, record["severity_level"]),
        left=ahead[0] - minutes if ahead else 0,
        grade=ahead[1] if ahead else "",
        hours=minutes // 60,
    )
    lines = [
        text(
            language,
            "people",
            people=f"{record['people']:,}",
            started=shown_time(started, language),
            peak=f"{record['peak_per_hour']:,}",
            usual=f"{record['usual_per_hour']:.1f}",
        )
    ]
    if record["people_counted"] < record["people"]:
        lines.append(text(language, "counted", counted=f"{record['people_counted']:,}"))
    shares = [f"{label_name(language, name)} {share:.0%}" for name, share in record["problems"].items() if share > 0]
    if shares:
        lines.append(text(language, "problems", problems=", ".join(shares[:TOP_PROBLEMS])))
    if record["words"]:
        lines.append(text(language, "words", words=", ".join(record["words"][:TOP_WORDS])))
    lines += _denial(record, language) if kind == "rumour" else _official(record, ahead, minutes, language)
    if kind == "quiet" and record["ended_at"]:
        lines.append(text(language, "over", ended=shown_time(parse_time(record["ended_at"]), language)))
    lines += [text(language, "not_affected"), link]
    return _stamped(title, lines, language, stamp)


def of_blindness(blind: Sequence[Blindness], language: str, link: str, stamp: Stamp) -> tuple[str, str]:
    """Title and body of the alert that something is not seen."""
    lines = [text(language, "blind")]
    for each in blind:
        since = f"{shown_time(each.since, language)} EAT" if each.since else text(language, "never")
        lines.append(text(language, each.what, source=each.source, since=since))
    return _stamped(text(language, "title_blind"), [*lines, link], language, stamp)


def of_test(channel: str, language: str, link: str, stamp: Stamp) -> tuple[str, str]:
    """Title and body of a test message."""
    return _stamped(text(language, "title_test"), [text(language, "body_test", channel=channel), link], language, stamp)


def _stamped(title: str, lines: list[str], language: str, stamp: Stamp) -> tuple[str, str]:
    if stamp.pretended is not None:
        title, lines = (
            f"[REPLAY] {title}",
            [*lines, text(language, "pretended", now=shown_time(stamp.pretended, language))],
        )
    if stamp.synthetic:
        title, lines = f"[DEMO] {title}", [*lines, text(language, "synthetic")]
    return title, "\n".join(lines)


def _official(record: dict[str, Any], ahead: tuple[int, str] | None, minutes: int, language: str) -> list[str]:
    first = record["ladder"]["first_official"]
    if first is None:
        lines = [text(language, "silent", minutes=minutes)]
        if ahead:
            until = parse_time(record["started_at"]) + timedelta(minutes=ahead[0])
            lines.append(text(language, "next_grade", until=f"{until.astimezone(NAIROBI):%H:%M}", grade=ahead[1]))
        return lines
    said = text(
        language,
        "spoken",
        status=label_name(language, first["status"]),
        scope=label_name(language, first["scope"]),
        **_when(first, language),
    )
    lines = [f"{said} {text(language, 'graded', grade=record['grade'])}" if record["grade"] else said]
    resolved = record["ladder"]["resolved"]
    if resolved and record["complaints_after_resolved"] is not None:
        lines.append(
            text(language, "resolved", count=f"{record['complaints_after_resolved']:,}", **_when(resolved, language))
        )
    return lines


def _denial(record: dict[str, Any], language: str) -> list[str]:
    if not record["denials"]:
        return [text(language, "not_denied")]
    return [text(language, "denied", **_when(record["denials"][0], language))]


def _when(step: dict[str, Any], language: str) -> dict[str, str]:
    """Who spoke, and when, no finer than it is known."""
    at = shown_time(parse_time(step["at"]), language, step["precision"])
    coarse = {"hour": "to_hour", "day": "to_day"}.get(step["precision"])
    return {
        "who": step["office"] or step["account"] or "",
        "at": at if step["precision"] == "day" else f"{at} EAT",
        "precision": text(language, coarse) if coarse else "",
    }
