"""The record of an incident: how bad, of what, for whom, who has spoken. Read from the store each time it is asked for."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, literal, select

from dashboard.detection import ABANDONED
from dashboard.incidents import COMPLAINTS, RUMOURS, Found, find_all, official_words
from dashboard.ladder import STILL_COMING, Complaint, Course, ladder, planned, words_of
from data import tables
from data.accounts import listed_accounts
from data.facts import BUCKET_SECONDS, count_people, counted_people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine, Row

    from dashboard.ladder import Interval, Word

USUAL_SPAN = timedelta(days=28)
EVIDENCE_POSTS, SAMPLE_POSTS, TOP_NAMES, TOP_WORDS = 50, 3, 5, 10
LEAST_WORD_PEOPLE = 3
# Relative rise x minutes x people counted, from which on an incident is called so.
SEVERITIES = ((1_000_000.0, "severe"), (10_000.0, "major"), (0.0, "minor"))
MOST_RISE = 50.0  # a rise over almost nothing says little about how much
# What people name. What they name is a hint, never a verdict.
HINTS = {
    "mpesa": r"m[\s-]?pesa|mpeza|safaricom|paybill|till number|stk",
    "network": r"network|internet|bundles?|wi-?fi|airtel|telkom|mtandao|signal",
    "other_agency": r"kra|itax|ntsa|nhif|sha|nssf|helb|immigration|uhamiaji|dci|huduma centre|brs|ardhi\s?sasa|tims",
    "own_platform": r"(?:web)?site|app|portal|system|server|otp|log[\s-]?in|password|tovuti|mfumo",
}
# An outage's grades and clocks; the words that they go by are of something else than the rumour.
NOT_OF_RUMOURS = {
    **dict.fromkeys(("grade", "grade_ecitizen", "spoke_before_alarm")),
    **dict.fromkeys(
        ("grade_reason", "grade_ecitizen_reason"), "a rumour is denied, not acknowledged, and has no grade"
    ),
    **dict.fromkeys(("grade_because", "grade_ecitizen_because"), "rumour"),
}
_HINTS = {name: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE) for name, pattern in HINTS.items()}
_WORD = re.compile(r"(?<![<@\w])[^\W\d_][\w'-]{2,}(?![>\w])")
_LINKS = re.compile(r"https?://\S+|<[A-Z]+>|@\w+")


# Words that say nothing of a cause, in English and Kiswahili.
_STOP_TEXT = """
about after again all also and any are because been before being but can can't could did didn't does doesn't don't even
ever for from get gets getting got had has have having her here him his how i'm into its it's just let like more most much not
now off one only our out over own please same say says she should since some still such than that that's the their them then
there these they this those though through too until very via want was way were what when where which while who why will with
won't would yet you your
ama bado hadi haja hapa hapo hata hawa haya hii hili hivi hivyo hiyo hizi hizo huko huo huu huyo ile ili ilikuwa kabisa kama
kati katika kila kisha kuna kutoka kuwa kwa kwamba kwenye lakini leo mimi mpaka mtu nao ndani ndio ndiyo nini pale pamoja pia
sana sasa sisi tena vile wakati wale wao watu wenye wewe wote yake yako yangu yao yenu yetu yote yule zake zao
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())


@dataclass(frozen=True)
class Post:
    """A complaint as the record needs it."""

    source: str
    id: str
    at: datetime
    person: str
    copy: str
    problems: tuple[str, ...]
    services: tuple[str, ...]
    lang: str
    text: str


def records(
    engine: Engine,
    now: datetime,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    lane: str = COMPLAINTS,
    *,
    brief: bool = False,
    only: int | None = None,
    found: Sequence[Found] | None = None,
) -> list[dict[str, Any]]:
    """The incidents raised so far with the fields of INTERFACE "What incidents --json prints", oldest first.

    `lane` is `complaint` for incidents, `rumour` for the notices of rumours; `only` one of them. `brief` leaves out what
    takes the texts of four weeks or a search of the whole store: `hints`, `words`, `samples` and `today`. `found` is what the
    store would raise up to `now`, where it is known already.
    """
    table = tables.incidents
    words = official_words(engine, now)
    if not brief and found is None:
        found = find_all(engine, now)
    with engine.connect() as connection:
        query = select(table).where(table.c.lane == lane, table.c.raised_at <= now).order_by(table.c.started_at)
        rows = list(connection.execute(query))
        listened = listened_to(connection), listened_to(connection, own=True)
        starts = [row.started_at for row in rows] + [None]
        return [
            _record(connection, row, (before, following), words, listened, found, now)
            for before, row, following in zip([None, *rows], rows, starts[1:], strict=False)
            if (from_at is None or row.last_at >= from_at or row.state != "quiet")
            and (to_at is None or row.started_at < to_at)
            and only in (None, row.id)
        ]


def listened_to(connection: Connection, *, own: bool = False) -> list[Interval]:
    """The spans in which every confirmed account that is read was read; with `own` those of eCitizen's own accounts."""
    table = tables.coverage
    accounts = [account for account in listed_accounts(connection) if account.is_confirmed]
    names = [
        f"{account.source} {(account.account_id or '').rpartition('://')[2]}"  # as the source `official` calls its timelines
        for account in accounts
        if account.source != "news" and (account.is_ecitizen or not own)
    ]
    query = (
        select(table.c.stream, table.c.from_at, table.c.to_at)
        .where(table.c.source == "official", table.c.gap_reason.is_(None), table.c.stream.in_(names))
        .order_by(table.c.from_at)
    )
    by_stream: dict[str, list[Interval]] = {}
    for row in connection.execute(query):
        by_stream.setdefault(row.stream, []).append((row.from_at, row.to_at))
    if not names or by_stream.keys() < set(names):
        return []  # one that was never read may have spoken
    first, *others = by_stream.values()
    for spans in others:
        both = [(max(a, c), min(b, d)) for a, b in first for c, d in spans]
        first = [(start, end) for start, end in both if start < end]
    return first


def _record(
    connection: Connection,
    row: Row[Any],
    beside: tuple[Row[Any] | None, datetime | None],
    words: Sequence[Word],
    listened: tuple[Sequence[Interval], Sequence[Interval]],
    found: Sequence[Found] | None,
    now: datetime,
) -> dict[str, Any]:
    before, next_start = beside
    ended_at = row.last_at if row.state == "quiet" else None
    course = Course(row.started_at, row.raised_at, row.last_at, is_over=ended_at is not None)
    until = _until(row.state, row.last_at, next_start, now)
    posts = _posts(connection, row.lane, row.started_at, until, texts=found is not None)
    before_end = (before.last_at if before.state == "quiet" else row.started_at) if before else None
    own_words = words_of(course, words, next_start, before_end)
    if row.lane == RUMOURS:
        own_words = [word for word in own_words if word.status == "denial"]
    complaints = [Complaint(post.at, post.person, post.copy) for post in posts]
    counted = _counted(posts)
    people = _people(counted)
    usual_posts, usual_people = _usual_per_hour(connection, row.lane, row.started_at)
    minutes = max((row.last_at - row.started_at) / timedelta(minutes=1), 5.0)
    peak = _peak_per_hour(counted)
    if row.lane == RUMOURS:  # it has no course, and days between a few posts are no minutes of trouble
        severity = min(peak / usual_people, MOST_RISE) * 60 * peak
    else:
        severity = min(_people_by_bucket(counted) / (usual_people * minutes / 60), MOST_RISE) * minutes * people
    announced = planned(row.started_at, words)
    if announced is not None and row.last_at > announced.covers_until + STILL_COMING:
        announced = None  # it goes on after its window
    verdict, notes = _notes(connection, row.id)
    return {
        "id": row.id,
        "lane": row.lane,
        "state": row.state,
        "synthetic": row.synthetic,
        "started_at": row.started_at.isoformat(),
        "raised_at": row.raised_at.isoformat(),
        "ended_at": ended_at.isoformat() if ended_at else None,
        "planned": announced is not None,
        "posts": len(posts),
        "people": _people(posts),
        "people_counted": people,
        "peak_per_hour": peak,
        "usual_per_hour": round(usual_posts, 2),
        "severity": round(severity),
        "severity_level": next(name for least, name in SEVERITIES if severity >= least),
        "problems": _problems(counted),
        "services": _shares(counted, lambda post: post.services, TOP_NAMES),
        "langs": _shares(counted, lambda post: (post.lang,)),
        "sources": _shares(counted, lambda post: (post.source,)),
        **({} if found is None else _of_texts(connection, row, counted)),
        **ladder(course, own_words, complaints, *listened, now),
        **(NOT_OF_RUMOURS if row.lane == RUMOURS else {}),
        "evidence": [f"{post.source}:{post.id}" for post in posts[:EVIDENCE_POSTS]],
        **({} if found is None else {"today": _today(connection, row, posts, found, next_start, now)}),
        "verdict": verdict,
        "notes": notes,
    }


def _of_texts(connection: Connection, row: Row[Any], posts: Sequence[Post]) -> dict[str, Any]:
    return {
        "hints": _hints(posts),
        "words": _words(connection, row, posts),
        "samples": [{"post": f"{post.source}:{post.id}", "text": post.text} for post in diverse(posts, SAMPLE_POSTS)],
    }


def _until(state: str, last_at: datetime, next_start: datetime | None, now: datetime) -> datetime:
    """Up to when complaints are an incident's own: to its end; without one to now, the next incident, or for as long as it is waited for."""
    return last_at if state == "quiet" else min(now, last_at + timedelta(seconds=ABANDONED), next_start or now)


def _today(
    connection: Connection,
    row: Row[Any],
    posts: Sequence[Post],
    found: Sequence[Found],
    next_start: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """What the store as it is now would have raised in its place, and whether that differs from what was raised.

    `raised_at` must differ where it was raised in hindsight, and the end of one that is not over moves on with every step: these
    two make no difference.
    """
    touching = [
        each
        for each in found
        if each.lane == row.lane and each.started_at <= row.last_at and each.last_at >= row.started_at
    ]
    if not touching:
        gone: dict[str, Any] = dict.fromkeys(("started_at", "raised_at", "last_at", "state"))
        return gone | {"people": 0, "problems": {}, "differs": True}
    one, last = touching[0], touching[-1]
    same = (
        len(touching) == 1
        and (one.started_at, one.state) == (row.started_at, row.state)
        and (one.last_at == row.last_at or one.state != "quiet")
    )
    if not same:  # of the same span all else is the same, since the record too is read from the store as it is
        until = _until(last.state, last.last_at, next_start, now)
        posts = _posts(connection, row.lane, one.started_at, until, texts=False)
    return {
        "started_at": one.started_at.isoformat(),
        "raised_at": one.raised_at.isoformat(),
        "last_at": last.last_at.isoformat(),
        "state": last.state,
        "people": _people(posts),
        "problems": _problems(_counted(posts)),
        "differs": not same,
    }


def _posts(connection: Connection, lane: str, from_at: datetime, to_at: datetime, *, texts: bool = True) -> list[Post]:
    facts, posts = tables.facts, tables.posts
    joined = facts.join(posts, and_(posts.c.source == facts.c.source, posts.c.id == facts.c.id)) if texts else facts
    columns = (facts.c.source, facts.c.id, facts.c.at, facts.c.person, facts.c.copy, facts.c.problems)
    query = (
        select(*columns, facts.c.services, facts.c.lang, posts.c.text if texts else literal("").label("text"))
        .select_from(joined)
        .where(facts.c.lane == lane, facts.c.bucket >= _bucket(from_at), facts.c.at >= from_at, facts.c.at <= to_at)
        .order_by(facts.c.at, facts.c.source, facts.c.id)
    )
    return [
        Post(
            row.source,
            row.id,
            row.at,
            row.person,
            row.copy,
            tuple(row.problems),
            tuple(row.services),
            row.lang,
            row.text,
        )
        for row in connection.execute(query)
    ]


def _bucket(moment: datetime) -> int:
    return int(moment.timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS


def _usual_per_hour(connection: Connection, lane: str, before: datetime) -> tuple[float, float]:
    """Posts, and people by five minutes, an hour in the time looked at of the four weeks before."""
    volume, coverage = tables.volume, tables.coverage
    since = before - USUAL_SPAN
    spans = connection.execute(
        select(coverage.c.from_at, coverage.c.to_at).where(
            coverage.c.gap_reason.is_(None),
            coverage.c.source != "official",
            coverage.c.to_at > since,
            coverage.c.from_at < before,
        )
    ).all()
    seconds, reached = 0.0, since
    for start, end in sorted((max(row.from_at, since), min(row.to_at, before)) for row in spans):
        seconds += max((end - max(start, reached)).total_seconds(), 0.0)
        reached = max(reached, end)
    query = select(volume.c.posts, volume.c.people).where(
        volume.c.lane == lane, volume.c.bucket >= _bucket(since), volume.c.bucket < _bucket(before)
    )
    rows, hours = connection.execute(query).all(), max(seconds / 3_600, 1.0)
    return (sum(row.posts for row in rows) + 0.5) / hours, (sum(row.people for row in rows) + 0.5) / hours


def _people_by_bucket(posts: Sequence[Post]) -> int:
    """The people of each five minutes, added up, as the detector counts them."""
    return sum(
        count_people((post.person, post.copy) for post in of_bucket)
        for _, of_bucket in groupby(posts, key=lambda post: _bucket(post.at))
    )


def _peak_per_hour(posts: Sequence[Post]) -> int:
    """The most distinct people of any rolling hour."""
    peak, first, inside = 0, 0, Counter[str]()
    for post in posts:
        inside[post.person] += 1
        while posts[first].at <= post.at - timedelta(hours=1):
            inside[posts[first].person] -= 1
            inside += Counter()
            first += 1
        peak = max(peak, len(inside))
    return peak


def _people(posts: Sequence[Post]) -> int:
    return len({post.person for post in posts})


def _counted(posts: Sequence[Post]) -> list[Post]:
    """The posts of those people who count: near-copies of one text are capped."""
    people = counted_people((post.person, post.copy) for post in posts)
    return [post for post in posts if post.person in people]


def _problems(posts: Sequence[Post]) -> dict[str, float]:
    return _shares(posts, lambda post: post.problems)


def _shares(posts: Sequence[Post], names: Any, most: int | None = None) -> dict[str, float]:
    """Of the people, how many name each; the most named first."""
    people = _people(posts)
    naming: dict[str, set[str]] = {}
    for post in posts:
        for name in names(post):
            naming.setdefault(name, set()).add(post.person)
    ranked = sorted(naming.items(), key=lambda each: (-len(each[1]), each[0]))[:most]
    return {name: round(len(persons) / max(people, 1), 3) for name, persons in ranked}


def _hints(posts: Sequence[Post]) -> dict[str, int]:
    """How many people name each possible cause: what people say, not what it was."""
    return {
        name: len({post.person for post in posts if pattern.search(_LINKS.sub(" ", post.text))})
        for name, pattern in _HINTS.items()
    }


def _tokens(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(_LINKS.sub(" ", text))} - STOP_WORDS


def _words(connection: Connection, row: Row[Any], posts: Sequence[Post]) -> list[str]:
    """The words that set it apart from the four weeks before (log-odds with an informative prior, Monroe et al. 2008)."""
    before = _posts(connection, row.lane, row.started_at - USUAL_SPAN, row.started_at)
    inside, usual = Counter[str](), Counter[str]()
    for some, counts in ((posts, inside), (before, usual)):
        counts.update(word for _, word in {(post.person, word) for post in some for word in _tokens(post.text)})
    total, total_usual = sum(inside.values()), sum(usual.values())
    vocabulary = len(inside | usual)
    if vocabulary < 2:
        return []  # a word alone has nothing to be set apart from
    mass = 100 + 0.01 * vocabulary

    def score(word: str) -> float:
        prior = (inside[word] + usual[word]) / max(total + total_usual, 1) * 100 + 0.01
        ours, theirs = inside[word] + prior, usual[word] + prior
        odds = math.log(ours / (total + mass - ours)) - math.log(theirs / (total_usual + mass - theirs))
        return float(odds / math.sqrt(1 / ours + 1 / theirs))

    ranked = sorted(
        (word for word in inside if inside[word] >= LEAST_WORD_PEOPLE), key=lambda word: (-score(word), word)
    )
    return [word for word in ranked[:TOP_WORDS] if score(word) > 0]


def diverse(posts: Sequence[Post], count: int) -> list[Post]:
    """The most typical post, then those least like what was taken, by the words that they share (Jaccard); one a person and a copy."""
    once = list({post.copy: post for post in reversed(posts) if post.text}.values())
    words = [_tokens(post.text) for post in once]
    used = Counter(word for each in words for word in each)

    def alike(first: int, second: int) -> float:
        return len(words[first] & words[second]) / max(len(words[first] | words[second]), 1)

    typical = [sum(used[word] for word in each) / (len(each) + 5) for each in words]
    left = sorted(range(len(once)), key=lambda at: (-typical[at], once[at].at))
    taken: list[int] = []
    while left and len(taken) < count:
        best = max(left, key=lambda at: typical[at] * (1 - max((alike(at, other) for other in taken), default=0.0)))
        taken.append(best)
        left = [at for at in left if once[at].person != once[best].person]
    return [once[at] for at in taken]


def _notes(connection: Connection, incident: int) -> tuple[str | None, list[dict[str, Any]]]:
    table = tables.incident_notes
    rows = (
        connection.execute(select(table).where(table.c.incident == incident).order_by(table.c.number)).mappings().all()
    )
    verdict = next((row["verdict"] for row in reversed(rows) if row["verdict"]), None)
    return verdict, [
        {"at": row["at"].isoformat(), "who": row["who"], "verdict": row["verdict"], "note": row["note"]} for row in rows
    ]
