"""The dashboard: how many people complain, of what, held against what the officials said and when.

`volume` and `export` are plain functions from the store to tables and files, `charts` draws tables, `strings` holds
every text in English and Kiswahili. Only `app.py` and `app_pages/` know Streamlit, and they compute nothing.
"""
