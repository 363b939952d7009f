"""The second page: analysts settle, one after the other, the posts of which the model is unsure."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from dashboard import review
from dashboard.app_pages.frame import choose_language, opened_store, stamps
from dashboard.strings import label_name, say, shown_time
from data.corrections import FIELDS, OFFICIAL_FIELDS
from data.errors import TrackerError
from data.links import link_of
from data.settings import load_settings
from data.store import Store


def _post(post: review.Waiting, language: str) -> None:
    with st.container(border=True):
        st.text(post.text)  # not Markdown: a post is hostile input
        at = shown_time(post.at, language)
        st.caption(say(language, "review_post", at=at, source=post.source, lang=post.lang))
        if post.services:
            st.caption(say(language, "review_services", services=", ".join(post.services)))
        link = None if post.synthetic else link_of(post.source, post.id)
        if link:
            st.link_button(say(language, "open"), link)


def _said(post: review.Waiting, language: str) -> None:
    st.caption(say(language, "review_said", model=post.model))
    if not post.labels["problems"]:
        st.text(say(language, "no_problem_named"))
    table = pd.DataFrame(
        {
            "field": [say(language, f"field_{field}") for field, _, _ in post.scores],
            "label": [label_name(language, label) for _, label, _ in post.scores],
            "score": [score for _, _, score in post.scores],
        }
    )
    settings = {name: st.column_config.TextColumn(say(language, f"column_{name}")) for name in ("field", "label")}
    settings["score"] = st.column_config.ProgressColumn(say(language, "column_score"), min_value=0, max_value=1)
    st.dataframe(table, column_config=settings, hide_index=True, width="stretch")
    if {label for field, label, _ in post.scores if field == "problems"} - set(post.labels["problems"]):
        st.caption(say(language, "review_threshold"))


def _choices(post: review.Waiting, language: str) -> dict[str, Any]:
    """The analyst's labels. Each post has its own widgets, which begin with what the model said; each language, too,
    as a chosen option keeps the name that it had."""

    def named(label: str) -> str:
        return label_name(language, label)

    chosen: dict[str, Any] = {
        "problems": st.multiselect(
            say(language, "field_problems"),
            FIELDS["problems"],
            default=post.labels["problems"],
            format_func=named,
            placeholder=say(language, "no_problem_named"),
            key=f"problems {language} {post.key}",
        )
    }
    for field in ("kind", "about", "sentiment", *OFFICIAL_FIELDS):
        if field in OFFICIAL_FIELDS and chosen["kind"] != "official":
            continue
        said = post.labels[field]
        chosen[field] = st.selectbox(
            say(language, f"field_{field}"),
            FIELDS[field],
            index=FIELDS[field].index(said) if said else None,
            format_func=named,
            placeholder=say(language, "choose"),
            key=f"{field} {language} {post.key}",
        )
    return chosen


def _review(store: Store, language: str) -> None:
    skipped: set[str] = st.session_state.setdefault("skipped", set())
    waiting, settled = store.review_counts()
    columns = st.columns(3)
    columns[0].metric(say(language, "review_waiting"), f"{waiting:,}", border=True)
    columns[1].metric(say(language, "review_settled"), f"{settled:,}", border=True)
    columns[2].metric(say(language, "review_skipped"), f"{len(skipped):,}", border=True)
    if told := st.session_state.pop("told", None):
        st.toast(say(language, "settled", key=told), icon=":material/check:")
    post = review.next_post(store, skipped, st.session_state.get("open"))
    st.session_state["open"] = post.key if post else None
    if post is None:
        st.info(say(language, "review_all_skipped" if waiting else "review_empty"))
        if waiting and st.button(say(language, "review_again"), key="again"):
            skipped.clear()
            st.rerun()
        return
    left, right = st.columns([3, 2])
    with left:
        _post(post, language)
        _said(post, language)
    with right:
        st.subheader(say(language, "review_yours"))
        chosen = _choices(post, language)
        st.session_state.setdefault("who", st.session_state.get("analyst", ""))
        who = st.text_input(say(language, "who"), help=say(language, "who_help"), key="who", max_chars=200)
        st.session_state["analyst"] = who  # a widget's own state ends with its page
        why = st.text_area(say(language, "why"), key=f"why {post.key}", max_chars=2_000, height=80)
        buttons = st.columns(2)
        if buttons[0].button(say(language, "settle"), type="primary", key=f"settle {post.key}", width="stretch"):
            if not who.strip():
                st.error(say(language, "review_missing", reason=say(language, "missing_who")))
            elif None in chosen.values():
                st.error(say(language, "review_missing", reason=say(language, "missing_official")))
            else:
                review.settle(store, post, chosen, who, why)
                st.session_state["told"] = post.key
                st.rerun()
        if buttons[1].button(say(language, "skip"), key=f"skip {post.key}", width="stretch"):
            skipped.add(post.key)
            st.rerun()


def _render() -> None:
    language = choose_language()
    st.title(say(language, "review"))
    try:
        settings = load_settings()
        store = opened_store(settings.database_url)
        stamps(store, settings, language)
        st.caption(say(language, "review_note"))
        _review(store, language)
    except TrackerError as error:
        st.error(say(language, "failed", reason=error))
    except SQLAlchemyError as error:  # its message could hold what was asked for; its kind says enough
        st.error(say(language, "failed", reason=type(error).__name__))


_render()
