"""What the pages share: the store, the language, and the stamps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.strings import LANGUAGES, say, shown_time
from data.settings import load_settings
from data.store import Store, open_store

if TYPE_CHECKING:
    from data.settings import Settings

# Streamlit breaks lines in a table whose rows are higher than 64 px; these hold four.
LINES_HEIGHT = 84


@st.cache_resource
def opened_store(url: str) -> Store:
    return open_store(load_settings(database_url=url))


def language_so_far() -> str:
    """The language chosen on whichever page, or in the address, before this run has drawn the choice."""
    named = {name: code for code, name in LANGUAGES.items()}
    kept = st.session_state.get("ui") or st.session_state.get("language")
    return str(kept or named.get(st.query_params.get("ui", ""), "en"))


def choose_language() -> str:
    with st.sidebar:
        language = st.radio(
            "Language / Lugha",
            list(LANGUAGES),
            index=list(LANGUAGES).index(language_so_far()),
            format_func=LANGUAGES.__getitem__,
            horizontal=True,
            key="ui",
            bind="query-params",
        )
    st.session_state["language"] = language  # a widget's own state ends with its page
    return str(language)


def stamps(store: Store, settings: Settings, language: str) -> None:
    if store.synthetic():
        st.warning(say(language, "demo"), icon=":material/science:")
    if settings.pretends:
        st.info(say(language, "pretended", now=shown_time(settings.now(), language)), icon=":material/schedule:")


def plain(text: str) -> str:
    """The text with nothing in it that Markdown would take for its own: what others wrote is hostile input."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", " ".join(text.split()))
