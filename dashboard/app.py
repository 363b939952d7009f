"""The page list. Started by `tracker dashboard`, which runs `streamlit run` on this file."""

import streamlit as st

from dashboard.app_pages.frame import language_so_far
from dashboard.strings import say

st.set_page_config(page_title="eCitizen outage tracker", layout="wide")
language = language_so_far()
pages = [
    st.Page("app_pages/overview.py", title=say(language, "page_overview"), url_path="", default=True),
    st.Page("app_pages/incidents.py", title=say(language, "page_incidents"), url_path="incidents"),
    st.Page("app_pages/review.py", title=say(language, "page_review"), url_path="review"),
]
st.navigation(pages, position="top").run()
