"""The labels that count: the active model's, with the newest word of a person over each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, case, exists, func, or_, select, type_coerce

from data import tables
from data.errors import InputError
from data.labels import ABOUTS, KINDS, PROBLEMS, SCOPES, SENTIMENTS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, FromClause, RowMapping, ScalarSelect, Subquery

FIELDS: dict[str, tuple[str, ...]] = {
    "problems": PROBLEMS,
    "kind": KINDS,
    "sentiment": SENTIMENTS,
    "about": ABOUTS,
    "status": STATUSES,
    "scope": SCOPES,
}
OFFICIAL_FIELDS = ("status", "scope")  # only a post of kind `official` has them


def check_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with their labels, problems once each in the guide's order. Raises InputError naming a wrong one."""
    checked: dict[str, Any] = {}
    for field, value in fields.items():
        allowed = FIELDS.get(field)
        if allowed is None:
            raise InputError(f"only {', '.join(FIELDS)} can be corrected")
        if field == "problems":
            if not isinstance(value, list | tuple) or not set(map(str, value)) <= set(allowed):
                raise InputError(f"problems must be none or some of {', '.join(allowed)}")
            checked[field] = [problem for problem in allowed if problem in value]
        elif value not in allowed:
            raise InputError(f"{field} must be one of {', '.join(allowed)}")
        else:
            checked[field] = value
    return checked


def settle(given: dict[str, Any], said: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The fields to settle: those given, else as the model said (`said` is empty where nobody confirms it).

    `before` holds all fields as they stand. A post of kind `official` has its status and scope settled with the kind, and
    no other post may be given them. Raises InputError where that cannot be, or where nothing is to be settled.
    """
    settled = {field: value for field, value in said.items() if value is not None} | given
    if not settled:
        raise InputError(f"nothing to correct: give one of {', '.join(FIELDS)}")
    after = before | settled
    if after["kind"] != "official":
        if any(field in given for field in OFFICIAL_FIELDS):
            raise InputError(
                "status and scope belong to posts of kind official: correct the kind to official with them"
            )
        return without_official(settled)
    if "kind" in settled:
        settled |= {field: after[field] for field in OFFICIAL_FIELDS}
        if None in settled.values():
            raise InputError("a post of kind official needs a status and a scope: give both")
    return settled


def without_official(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without status and scope, unless the kind is `official` or is not among them."""
    if fields.get("kind", "official") == "official":
        return fields
    return {field: value for field, value in fields.items() if field not in OFFICIAL_FIELDS}


def settled_posts() -> Subquery:
    """The columns of `posts` and `labels` for each post that the active model labelled, its labels as settled.

    A post whose text the retention limit emptied cannot be labelled anew: without a label of the active model it keeps its last.
    Of each field of FIELDS also what the model itself says (`FIELD_said`), and `FIELD_who` and `FIELD_at` of the newest
    correction; `corrected` says whether there is any. Of a listed account (`account`) the kind is `official`, whatever else was
    said. Where the settled kind is not `official`, status and scope are NULL.
    """
    posts, labels, models = tables.posts, tables.labels, tables.models
    by_active = labels.alias("by_active")
    has_active = exists().where(
        by_active.c.model == models.c.model, by_active.c.source == posts.c.source, by_active.c.id == posts.c.id
    )
    counting = case((or_(posts.c.text_erased_at.is_(None), has_active), models.c.model), else_=_last_model())
    of_post = and_(labels.c.source == posts.c.source, labels.c.id == posts.c.id, labels.c.model == counting)
    joined: FromClause = posts.join(models, models.c.active).join(labels, of_post)
    settled: dict[str, Any] = {}
    rest: list[ColumnElement[Any]] = []
    any_word = tables.corrections.alias("any_word")
    corrected = exists().where(any_word.c.source == posts.c.source, any_word.c.id == posts.c.id)
    for field in FIELDS:
        newest = tables.corrections.alias(f"newest_{field}")
        joined = joined.outerjoin(newest, newest.c.number == _newest_number(field))
        value: Any = newest.c.value
        if field != "problems":
            value = func.replace(type_coerce(value, Text), '"', "", type_=Text)  # JSON of a name is the name in quotes
        settled[field] = func.coalesce(value, labels.c[field])
        said: Any = labels.c[field]
        if field in OFFICIAL_FIELDS:  # a listed account's post has them whatever the model takes it for
            said = case((or_(posts.c.account.is_not(None), labels.c.kind == "official"), said))
        rest += [
            said.label(f"{field}_said"),
            newest.c.who.label(f"{field}_who"),
            newest.c.at.label(f"{field}_at"),
        ]
    settled["kind"] = case((posts.c.account.is_not(None), "official"), else_=settled["kind"])
    for field in OFFICIAL_FIELDS:
        settled[field] = case((settled["kind"] == "official", settled[field]))
    rest += [each for each in labels.c if each.name not in posts.c and each.name not in settled]
    rest += [value.label(field) for field, value in settled.items()]
    return select(*posts.c, *rest, corrected.label("corrected")).select_from(joined).subquery("settled")


def _last_model() -> ScalarSelect[str]:
    """Of the post at hand: the model that labelled it last."""
    posts, last = tables.posts, tables.labels.alias("last")
    of_post = and_(last.c.source == posts.c.source, last.c.id == posts.c.id)
    newest = select(last.c.model).where(of_post).order_by(last.c.labelled_at.desc(), last.c.model).limit(1)
    return newest.correlate(posts).scalar_subquery()


def _newest_number(field: str) -> ScalarSelect[int]:
    """Of the post at hand: an index serves it, so that a query costs the posts it reads and not all that was ever corrected."""
    posts, table = tables.posts, tables.corrections
    of_field = and_(table.c.source == posts.c.source, table.c.id == posts.c.id, table.c.field == field)
    return select(func.max(table.c.number)).where(of_field).correlate(posts).scalar_subquery()


def corrections_of(row: RowMapping) -> list[dict[str, Any]]:
    """Of a row of `settled_posts`, for each corrected field `{"field", "model_said", "who", "at"}`.

    `model_said` is the word of the model that the row names. Status and scope that fell with the kind are in the list. Where
    the list of official accounts decided the kind against the model, its `who` is `account`; the status and the scope are the
    model's own then.
    """
    found = []
    for field in FIELDS:
        said, decider = row[f"{field}_said"], field
        if field == "kind" and row["account"] is not None and said != "official":
            at = row["first_seen_at"].isoformat()
            found.append({"field": field, "model_said": said, "who": "account", "at": at})
            continue
        if field in OFFICIAL_FIELDS and row["kind"] != "official":
            if said is None:
                continue
            decider = "kind"
        who, at = row[f"{decider}_who"], row[f"{decider}_at"]
        if who is not None:
            found.append({"field": field, "model_said": said, "who": who, "at": at.isoformat()})
    return found
