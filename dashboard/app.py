"""The page list. Started by `tracker dashboard`, which runs `streamlit run` on this file."""

import streamlit as st

from dashboard.app_pages.frame import language_so_far
from dashboard.strings import say

st.set_page_config(page_title="eCitizen outage tracker", layout="wide")
# Streamlit cuts a card's words off at its edge, and leaves the tables 160 px less than they need.
st.html(
    "<style>[data-testid=stMetric] * {white-space: normal; overflow: visible}"
    " [data-testid=stMainBlockContainer] {padding-inline: max(1rem, 2vw)}</style>"
)
language = language_so_far()
pages = [
    st.Page("app_pages/overview.py", title=say(language, "page_overview"), url_path="", default=True),
    st.Page("app_pages/incidents.py", title=say(language, "page_incidents"), url_path="incidents"),
    st.Page("app_pages/review.py", title=say(language, "page_review"), url_path="review"),
]
st.navigation(pages, position="top").run()
