"""The page list. Started by `tracker dashboard`, which runs `streamlit run` on this file."""

import streamlit as st

st.set_page_config(page_title="eCitizen outage tracker", layout="wide")
st.navigation([st.Page("app_pages/overview.py", title="Overview")], position="hidden").run()
