"""What `doctor` asks of the sources: whether each answers, takes our key and tier, agrees on the time, and was read lately."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from sqlalchemy import select

from collector.page import Refused, SourceError
from collector.sources import NAMES, load_source
from data import tables
from data.circuit import open_circuit
from data.errors import InputError, TrackerError
from data.official import NAIROBI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.page import Stream
    from data.settings import Settings
    from data.store import Store

STALE_AFTER = timedelta(hours=3)
MOST_SKEW_SECONDS = 120
TIMEOUT_SECONDS = 5

Check = dict[str, Any]


def check_sources(settings: Settings, store: Store | None) -> list[Check]:
    """For each source whether it is on, answers and was read lately; and our clock against theirs."""
    answers = _Answers()
    checks = []
    if settings.watch_folder is not None:
        is_there = settings.watch_folder.is_dir()
        says = (
            f"{settings.watch_folder} is watched"
            if is_there
            else f"there is no folder {settings.watch_folder}: make it"
        )
        checks.append(_check("watch", "ok" if is_there else "failed", says))
    for name in NAMES:
        module = load_source(name)
        try:
            streams = module.open_streams(settings)
        except InputError as error:
            checks.append(_check(name, "off", str(error)))
            continue
        checks.append(_reach(name, streams, settings, answers))
        if store is not None:
            interval = timedelta(seconds=settings.every_seconds.get(name) or module.EVERY_SECONDS)
            checks += _readings(name, streams, interval, store, settings.now())
    return checks + answers.clock()


def _check(name: str, state: str, says: str) -> Check:
    return {"name": name, "state": state, "says": says}


class _Answers:
    """Answers of the platforms, and how far their clocks are ahead of ours."""

    def __init__(self) -> None:
        self._ahead_seconds: list[float] = []

    def get(self, url: str, **arguments: Any) -> requests.Response:
        """Raises requests.RequestException where nothing answers."""
        answer = requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True, **arguments)
        answer.close()
        try:
            dated = parsedate_to_datetime(answer.headers.get("Date", ""))
            self._ahead_seconds.append((dated - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):  # no date, or one without a zone
            pass
        return answer

    def clock(self) -> list[Check]:
        """Our clock against theirs, where any told its time; several outvote one that is wrong."""
        if not self._ahead_seconds:
            return []
        ahead = statistics.median(self._ahead_seconds)
        if abs(ahead) <= MOST_SKEW_SECONDS:
            return [_check("clock skew", "ok", f"within {MOST_SKEW_SECONDS} s of the platforms' clocks")]
        way = "behind" if ahead > 0 else "ahead of"
        says = f"this machine is {abs(ahead):,.0f} s {way} the platforms' clocks: set it by NTP, or posts are dated and paged wrongly"
        return [_check("clock skew", "warning", says)]


def _reach(name: str, streams: Sequence[Stream], settings: Settings, answers: _Answers) -> Check:
    if name == "x":
        return _ask_x(settings, answers)
    if name == "reddit":
        return _ask_reddit(streams, settings)
    if name == "official":
        return _ask_official(streams, settings, answers)
    jetstream = settings.jetstream_url.replace("ws", "http", 1) if settings.jetstream_url else ""
    reviews = [settings.play_url] * bool(settings.play_apps) + [settings.apple_url] * bool(settings.apple_apps)
    addresses: dict[str, tuple[str, Sequence[str]]] = {
        "bluesky": ("jetstream_url", [jetstream]),
        "mastodon": ("mastodon_urls", settings.mastodon_urls),
        "news": ("feed_urls", settings.feed_urls),
        "reviews": ("play_apps", reviews),
    }
    if name not in addresses:
        return _check(name, "ok", "on")
    field, urls = addresses[name]
    return _reach_open(name, urls, field, settings, answers)


def _ask_x(settings: Settings, answers: _Answers, path: str | None = None) -> Check:
    """With the key, and without reading a post: X is asked for a page of a size that it does not serve (400).

    That it looks at the key and the access level first was not verified; its own account of our usage, which it is asked
    for before, needs the key in any case.
    """
    from collector.sources.x_api import RECENT

    assert settings.x_bearer_token is not None
    what = "timelines of accounts" if path else "recent search"
    page = f"{path}?max_results=1" if path else f"{RECENT}?query=eCitizen&max_results=1"
    headers = {"Authorization": f"Bearer {settings.x_bearer_token.get_secret_value()}"}
    base = settings.x_url.rstrip("/")
    try:
        statuses = [
            answers.get(f"{base}/2/usage/tweets", headers=headers).status_code,
            answers.get(f"{base}{page}", headers=headers).status_code,
        ]
    except requests.RequestException as error:
        return _silent("x", settings.x_url, error)
    if 401 in statuses:
        return _check("x", "failed", "X_BEARER_TOKEN is wrong (401): check the token in the developer console")
    found = {
        400: ("ok", "X_BEARER_TOKEN is taken"),
        402: ("failed", "the credits are spent (402): top up, or wait for the next cycle"),
        403: ("failed", f"the access level of this project does not include {what} (403)"),
        404: ("failed", "no such address (404): check TRACKER_X_URL"),
        429: ("warning", "X_BEARER_TOKEN is taken, but the requests of this window are used up (429)"),
    }
    return _check("x", *found.get(statuses[1], ("warning", f"it answers with {statuses[1]}")))


def _ask_reddit(streams: Sequence[Stream], settings: Settings) -> Check:
    """With the key: a page of what the collector reads, which costs nothing."""
    try:
        for stream in streams:
            stream.fetch(None, settings.now())
    except Refused as error:
        return _check("reddit", "failed", str(error))
    except SourceError as error:
        return _check("reddit", "failed", f"configured, but it does not answer as it should: {error}")
    return _check("reddit", "ok", "REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET are taken")


def _ask_official(streams: Sequence[Stream], settings: Settings, answers: _Answers) -> Check:
    """A page of each timeline that costs nothing; of those on X, whether the key and its level allow them."""
    from collector.sources.official import PaidTimeline

    paid = [stream for stream in streams if isinstance(stream, PaidTimeline)]
    wrong = []
    for stream in streams:
        if stream not in paid:
            try:
                stream.fetch(None, settings.now())
            except SourceError as error:
                wrong.append(str(error))
    if paid:
        path = f"/2/users/{paid[0].name.removeprefix('x ')}/tweets"
        check = _ask_x(settings, answers, path)
        wrong += [f"X: {check['says']}"] * (check["state"] != "ok")
    if not wrong:
        return _check("official", "ok", f"{len(streams)} timelines and feeds of confirmed accounts: each answers")
    failed = len(wrong) == len(streams) - len(paid) + bool(paid)
    return _check("official", "failed" if failed else "warning", "; ".join(wrong))


def _silent(name: str, url: str, error: Exception) -> Check:
    host = urlsplit(url).netloc.rpartition("@")[2]
    says = f"configured, but {host} does not answer ({type(error).__name__}): check the network"
    return _check(name, "failed", says)


def _reach_open(name: str, urls: Sequence[str], field: str, settings: Settings, answers: _Answers) -> Check:
    """A source that needs no key. What nobody asked for, the default list, is no failure where it does not answer."""
    addresses = {urlsplit(url).netloc.rpartition("@")[2]: url for url in urls}
    hosts = list(addresses)

    def is_silent(host: str) -> bool:
        try:
            answers.get(addresses[host])  # any answer will do
        except requests.RequestException:
            return True
        return False

    with ThreadPoolExecutor(len(hosts)) as pool:
        silent = [host for host, is_so in zip(hosts, pool.map(is_silent, hosts), strict=True) if is_so]
    if not silent:
        return _check(name, "ok", f"{', '.join(hosts)}: each answers")
    asked_for = field in settings.model_fields_set
    state = "failed" if asked_for and len(silent) == len(hosts) else "warning"
    says = f"{', '.join(silent)} does not answer: check the network and TRACKER_{field.upper()}"
    return _check(name, state, says)


def _readings(name: str, streams: Sequence[Stream], interval: timedelta, store: Store, now: datetime) -> list[Check]:
    """Whether the source was read lately, and how its last run ended; nothing where it was never run."""
    runs, cursors = tables.runs, tables.cursors
    of_streams = cursors.c.stream.in_([stream.name for stream in streams])
    kept = select(cursors.c.updated_at, cursors.c.cursor).where(cursors.c.source == name, of_streams)
    last_run = select(runs).where(runs.c.source == name).order_by(runs.c.id.desc()).limit(1)
    try:
        with store.engine.connect() as connection:
            run = connection.execute(last_run).mappings().first()
            # A timeline that needs a login is asked again once a day.
            updated = sorted(
                row.updated_at for row in connection.execute(kept) if "closed_at" not in (row.cursor or {})
            )
        circuit = open_circuit(store.engine, name)
    except TrackerError as error:
        return [_check(f"{name} streams", "failed", str(error))]
    if run is None:
        return []
    checks = []
    late = [at for at in updated if now - at > max(STALE_AFTER, 3 * interval)]
    if late:
        says = f"{len(late)} of {len(streams)} streams were last read {_shown(late[0])}: is `tracker run` running?"
        checks.append(_check(f"{name} streams", "warning", says))
    elif updated:
        says = f"{len(updated)} of {len(streams)} streams were read, none before {_shown(updated[0])}"
        checks.append(_check(f"{name} streams", "ok", says))
    if circuit is not None:
        says = (
            f"rests after {circuit.failures} failed runs since {_shown(circuit.since)}: {circuit.reason}; "
            f"tried again {_shown(circuit.next_try_at)}, sooner with `tracker collect {name} --once`"
        )
        checks.append(_check(f"{name} circuit", "warning", says))
    elif run["outcome"] != "done":
        checks.append(_check(f"{name} run", "warning", f"{run['outcome']}: {run['note'] or 'no reason kept'}"))
    return checks


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT"
