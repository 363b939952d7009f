"""What is kept, the one door to it, and what ships at rest.

Posts go in through `Store.save_page`, which redacts them before the first write; labels, official messages,
cursors and coverage stand beside them. `guide.md` is the annotation guide and the only source of label names.
The corpus (`corpus/`) and the demo replay (`demo/`) ship here. Nothing in this room imports another room.
"""

from data.records import Post, parse_post
from data.settings import Settings, load_settings
from data.store import Labels, Span, Store, open_store

__all__ = ["Labels", "Post", "Settings", "Span", "Store", "load_settings", "open_store", "parse_post"]
