"""What officials say: the timelines, replies included, of the confirmed accounts on X, Bluesky and Mastodon, and their feeds.

The posts carry the source of their platform, so that one which a search has found too is one post; coverage, cursors and runs
are of the source `official`. Each timeline is read whole, newest first, from now to a little before the last walk began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from collector.budget import spent_until
from collector.listings import WITNESSES
from collector.page import Page, Question, RateLimited, Refused, TemporaryFailure
from collector.sources import bluesky, mastodon, news, x
from collector.web import BadRequest, NotAnswered, ask, open_session
from data.errors import InputError, RecordError
from data.records import parse_time
from data.spending import USD_PER_POST, x_limits
from data.store import Span, open_store

if TYPE_CHECKING:
    import requests

    from collector.budget import Budget, Reservation
    from collector.page import Stream
    from data.official import OfficialAccount
    from data.settings import Settings
    from data.spending import Limits

NAME = "official"
EVERY_SECONDS = 120.0
X_POSTS = 100  # a page
REACH = timedelta(days=7)  # of a first walk; later ones go to where the last began, however long ago
OVERLAP = timedelta(minutes=2)  # platforms list a post some seconds after the time that it carries
# A page's token may be stale after so long: the walk begins again.
STALE_WALK = timedelta(minutes=5)
_X_ADVICE = "check X_BEARER_TOKEN, its access level and credits, and the id of the account"
X_LISTS = 3_200  # posts of one account, whatever their age


@dataclass(frozen=True, slots=True)
class Listing:
    """A page: the (id, time) pairs of its posts, their records, the token of the next page, and whether nothing stood on it."""

    dated: list[tuple[str, datetime | None]]
    found: list[dict[str, Any] | RecordError]
    token: str | None
    is_empty: bool
    cost_usd: float = 0.0


# From a token, the time to which the walk goes, and the time from which it does (None: now).
Lists = Callable[[str | None, datetime, datetime | None], Listing]


def open_streams(settings: Settings) -> list[Stream]:
    """A timeline for each confirmed account that can be read. Raises InputError where there is none."""
    store = open_store(settings)
    try:
        confirmed = [account for account in store.accounts().accounts if account.is_confirmed]
    finally:
        store.close()
    session = open_session()
    streams: list[Stream] = []
    for account in confirmed:
        if account.source == "x" and settings.x_bearer_token is not None:
            lists = _x_timeline(session, settings.x_url, settings.x_bearer_token.get_secret_value(), account)
            paid = PaidTimeline(f"x {account.account_id}", lists, X_LISTS, is_whole=False, limits=x_limits(settings))
            streams.append(paid)
        elif account.source == "bluesky" and settings.bluesky_url is not None:
            lists = _bluesky_timeline(session, settings.bluesky_url, account)
            streams.append(Timeline(f"bluesky {account.account_id}", lists))
        elif account.source == "mastodon":
            page = (account.account_id or "").partition("://")[2]
            streams.append(Timeline(f"mastodon {page}", _mastodon_timeline(session, account)))
    hosts = {account.account_id for account in confirmed if account.source == "news"}
    streams += [
        Notices(session, url, settings.terms)
        for url in dict.fromkeys(settings.notice_urls)
        if urlsplit(url).hostname in hosts
    ]
    if not streams and confirmed:
        wanted = {"x": "X_BEARER_TOKEN", "bluesky": "TRACKER_BLUESKY_URL", "news": "TRACKER_NOTICE_URLS"}
        lacking = sorted({wanted[account.source] for account in confirmed if account.source in wanted})
        raise InputError(
            f"official is off: the accounts that are confirmed cannot be read without {', '.join(lacking)}"
        )
    if not streams:
        raise InputError(
            "official is off: confirm an account with `tracker status confirm` (`tracker status accounts` lists them); those "
            "on X need X_BEARER_TOKEN, feeds TRACKER_NOTICE_URLS"
        )
    return streams


def questions(settings: Settings) -> list[Question]:
    """See `collector.page.Source`."""
    told = [Question("timelines", "what each confirmed account wrote, replies included (`tracker status accounts`)")]
    return told + [Question("notices", f"GET {url}, where its site is confirmed") for url in settings.notice_urls]


@dataclass(slots=True)
class Timeline:
    """What an account wrote, newest first.

    The kept cursor is `{"floor", "listed"}`: when the last whole walk began, and whether a post was ever listed. During a walk
    `top`, where it began, `token` of the next page, `at` when that was given, `oldest`, the time that it has come to, and `read`,
    how many posts, stand beside them; `until`, where the budget cut it off.
    """

    name: str
    lists: Lists
    lists_at_most: int | None = None
    is_whole: bool = True  # the platform lists all that there is; False: only what is newer than the walk's end
    source: str = NAME

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """One page; see `collector.page`."""
        walk = dict(state or {})
        ends = walk.pop("ends", False)  # the platform has said that nothing more is listed
        if "at" in walk and now - datetime.fromisoformat(walk["at"]) > STALE_WALK:
            walk = _cut_off(walk) if "until" in walk else {key: walk[key] for key in ("floor", "listed") if key in walk}
        top = datetime.fromisoformat(walk.setdefault("top", now.isoformat()))
        looked_from = min(datetime.fromisoformat(walk["floor"]), top) if "floor" in walk else top - REACH
        until = datetime.fromisoformat(walk["until"]) if "until" in walk else None
        page = self.lists(walk.get("token"), looked_from - OVERLAP, until)

        if page.token is not None and page.token == walk.get("token"):
            raise TemporaryFailure(f"official: {self.name} gave the same page twice")
        if page.is_empty and page.token is None and self.is_whole:
            if "token" not in walk and walk.get("listed"):  # it listed something before: this proves nothing
                return Page([])
            if not ends:  # it may be a mistake: the same page once more
                return Page([], [], None, walk | {"ends": True})
        times = [at for _, at in page.dated if at is not None]
        oldest = min([*times, datetime.fromisoformat(walk.get("oldest", top.isoformat()))])
        read = walk.get("read", 0) + len(page.dated)
        listed = {"listed": True} if walk.get("listed") or page.dated else {}
        is_beyond = bool(times) and all(at < looked_from - OVERLAP for at in times[-WITNESSES:])
        if page.token is not None and not is_beyond:
            walk |= {"token": page.token, "at": now.isoformat(), "oldest": oldest.isoformat(), "read": read} | listed
            return Page(page.found, [], walk, walk, page.cost_usd)
        spans = []
        # A walk that the budget cut off does not know how many posts are listed above it by now.
        is_cut = self.lists_at_most is not None and (read >= self.lists_at_most or until is not None)
        if is_cut and page.token is None and oldest > looked_from:
            reason = f"the platform lists no more than {self.lists_at_most:,} posts"
            spans.append(
                Span(looked_from, oldest, reason if until is None else f"{reason}, and the budget ended before")
            )
            looked_from = oldest
        if looked_from < top:
            spans.append(Span(looked_from, top))
        return Page(page.found, spans, {"floor": top.isoformat()} | listed, None, page.cost_usd)


def _cut_off(walk: dict[str, Any]) -> dict[str, Any]:
    """A walk that goes on below what it has read, when its token is of no use any more."""
    kept = {key: walk[key] for key in ("floor", "listed", "top", "oldest", "read") if key in walk}
    return kept | {"until": walk["oldest"]}


@dataclass(slots=True, kw_only=True)
class PaidTimeline(Timeline):
    """A timeline on X: its posts are paid from X's budget."""

    limits: Limits
    budget: Budget | None = None
    pays: str = x.NAME
    held: Reservation | None = None  # of an answer that was lost

    def fetch(self, state: dict[str, Any] | None, now: datetime) -> Page:
        """One page, within the budget; see `collector.page`."""
        assert self.budget is not None
        # After a lost answer the same posts are asked for again, which X bills once a day: one reservation covers both.
        lost = self.held if self.held is not None and self.budget.holds(self.held) else None
        held = lost or self.budget.reserve_posts(X_POSTS, X_POSTS, USD_PER_POST)
        if held is None:
            # Read again from the top on each day, a long walk would never end: what is read stays read.
            cursor = _cut_off(state) if state and "token" in state else None
            return Page([], cursor=cursor, requests=0, limited=spent_until(self.budget.standing()))
        self.held = held
        try:
            page = Timeline.fetch(self, state, now)
        except (NotAnswered, RateLimited, Refused):
            if lost is None:
                self.budget.settle(held, 0, 0.0)
                self.held = None
            raise
        self.budget.settle(held, len(page.records), page.cost_usd)
        self.held = None
        return page


class Notices(news.Feed):
    """A feed of a confirmed site, all of it: an office need not name eCitizen to speak of it."""

    source = NAME

    def __init__(self, session: requests.Session, url: str, terms: tuple[str, ...]) -> None:
        super().__init__(session, url, terms)
        self.name = f"news {self.name}"
        self._mentions = lambda _text: True


def _json(response: requests.Response, name: str) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):  # no JSON, or JSON nested too deeply
        raise TemporaryFailure(f"official: {name} gave no JSON") from None


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TemporaryFailure(f"official: {name} gave an answer of another shape")
    return value


def _moment(value: Any) -> datetime | None:
    try:
        return parse_time(value)
    except ValueError:
        return None


def _x_timeline(session: requests.Session, base: str, token: str, account: OfficialAccount) -> Lists:
    name = f"x {account.account_id}"
    url = f"{base.rstrip('/')}/2/users/{account.account_id}/tweets"
    headers = {"Authorization": f"Bearer {token}"}

    spelling = ["tweet", "post"]  # X renames tweets to posts; the first is the one that it takes

    def ask_for(asked: dict[str, Any]) -> Any:
        name_of = spelling[0]
        fields = f"created_at,author_id,lang,referenced_{name_of}s,note_{name_of}"
        try:
            asked = asked | {f"{name_of}.fields": fields}
            return _json(ask(session, name, "GET", url, advice=_X_ADVICE, params=asked, headers=headers), name)
        except BadRequest:
            spelling.reverse()
            if name_of == "post":
                raise Refused(f"official: {name} was not taken by X (400): {_X_ADVICE}") from None
            return ask_for({each: value for each, value in asked.items() if each != f"{name_of}.fields"})

    def lists(page: str | None, to_at: datetime, until: datetime | None) -> Listing:
        # Every post is paid for: no expansion, as the author is known, and nothing older than what is wanted.
        asked = {"max_results": str(X_POSTS), "exclude": "retweets", "start_time": f"{to_at:%Y-%m-%dT%H:%M:%SZ}"}
        if until is not None:
            asked["end_time"] = f"{until + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
        if page is not None:
            asked["pagination_token"] = page
        answer = _object(ask_for(asked), name)
        posts, meta = answer.get("data") or [], answer.get("meta")
        if not isinstance(posts, list) or not isinstance(meta, dict):
            raise TemporaryFailure(f"official: {name} gave an answer without data")
        found = []
        for record in x.records(answer):
            if isinstance(record, dict):
                if record["author_id"] not in (None, account.account_id):
                    record = RecordError("by another account")
                else:
                    record |= {"author_id": account.account_id, "author": account.handle}
            found.append(record)
        dated = [(each["id"], _moment(each["created_at"])) for each in found if isinstance(each, dict)]
        following = meta.get("next_token")
        return Listing(
            dated, found, following if isinstance(following, str) else None, not posts, USD_PER_POST * len(posts)
        )

    return lists


def _bluesky_timeline(session: requests.Session, base: str, account: OfficialAccount) -> Lists:
    did = account.account_id or ""
    name = f"bluesky {did}"
    url = f"{base.rstrip('/')}/xrpc/app.bsky.feed.getAuthorFeed"

    def lists(page: str | None, _to_at: datetime, _until: datetime | None) -> Listing:
        asked = {"actor": did, "limit": "100", "filter": "posts_with_replies"} | ({"cursor": page} if page else {})
        answer = _object(_json(ask(session, name, "GET", url, params=asked), name), name)
        if not isinstance(answer.get("feed"), list):
            raise TemporaryFailure(f"official: {name} gave an answer without a feed")
        dated, found = [], []
        for item in answer["feed"]:
            post = item.get("post") if isinstance(item, dict) else None
            if isinstance(item, dict) and item.get("reason") is not None:
                continue  # reposted, or pinned on top
            record = _bluesky_record(post, did)
            found.append(record)
            if isinstance(record, dict):
                dated.append((record["id"], record["created_at"]))
        following = answer.get("cursor")
        is_empty = not answer["feed"]
        return Listing(dated, found, following if isinstance(following, str) and not is_empty else None, is_empty)

    return lists


def _bluesky_record(post: Any, did: str) -> dict[str, Any] | RecordError:
    if not isinstance(post, dict) or not isinstance(post.get("record"), dict):
        return RecordError("post is missing")
    author, uri, words = post.get("author"), post.get("uri"), post["record"]
    if not isinstance(author, dict) or author.get("did") != did:
        return RecordError("by another account")
    if not isinstance(uri, str) or not uri.startswith(f"at://{did}/{bluesky.COLLECTION}/"):
        return RecordError("id is missing")
    if not isinstance(words.get("text"), str):
        return RecordError("text is missing")
    seen_at = _moment(post.get("indexedAt"))
    if seen_at is None:
        return RecordError("indexedAt is not a time")
    handle = author.get("handle")
    return bluesky.record(uri, did, words, seen_at) | {"author": handle if isinstance(handle, str) else None}


def _mastodon_timeline(session: requests.Session, account: OfficialAccount) -> Lists:
    address = account.account_id or ""
    parts = urlsplit(address)
    base, host = f"{parts.scheme}://{parts.netloc}", parts.hostname or ""
    handle = parts.path.rstrip("/").rpartition("/")[2].removeprefix("@")
    name = f"mastodon {parts.netloc}{parts.path}"
    numbers: list[str] = []  # of the account at its instance, once it is known

    def number() -> str:
        if not numbers:
            url = f"{base}/api/v1/accounts/lookup"
            found = _object(_json(ask(session, name, "GET", url, params={"acct": handle}), name), name)
            if found.get("url") != address or not isinstance(found.get("id"), str):
                raise Refused(
                    f"official: {name} is not the account that was confirmed: check it, and unconfirm it if need be"
                )
            numbers.append(found["id"])
        return numbers[0]

    def lists(page: str | None, _to_at: datetime, _until: datetime | None) -> Listing:
        url = f"{base}/api/v1/accounts/{number()}/statuses"
        asked = {"limit": str(mastodon.PAGE_STATUSES), "exclude_reblogs": "true"} | ({"max_id": page} if page else {})
        statuses = _json(ask(session, name, "GET", url, params=asked), name)
        if not isinstance(statuses, list):
            raise TemporaryFailure(f"official: {name} gave an answer of another shape")
        dated, found, ids = [], [], []
        for status in statuses:
            record = mastodon.record(status, host)
            if isinstance(record, dict) and record["author_id"] != address:
                record = RecordError("by another account")
            found.append(record)
            if isinstance(status, dict) and isinstance(status.get("id"), str):
                ids.append(status["id"])
                dated.append((status["id"], _moment(status.get("created_at"))))
        if statuses and not ids:
            raise TemporaryFailure(f"official: {name} lists posts without ids")
        return Listing(dated, found, min(ids, key=lambda each: (len(each), each)) if ids else None, not statuses)

    return lists
