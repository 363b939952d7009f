"""Collectors: posts that mention eCitizen, from the platforms and from files, into the store.

A source is a module of `sources/`: it fetches pages and turns them into records, nothing else. The runner owns
waiting, retries, cursors and saving, once for all sources; `importing` does the same for files. This room never
imports the classifier.
"""
