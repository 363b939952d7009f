"""Every error that the tracker raises on purpose.

TrackerError                  exit status 1: the work failed
├── StoreError                the database cannot be used as it is
├── ModelError                a model folder is missing, damaged or foreign
└── InputError                exit status 2: the command line, a setting or a file is wrong
    └── RecordError           one record of a file or an answer is not a post
"""

from __future__ import annotations


class TrackerError(Exception):
    """The work failed; the message says what happened, where, and what to do."""


class StoreError(TrackerError):
    """The database cannot be opened, or does not belong to this code or this key."""


class ModelError(TrackerError):
    """The model folder is missing a part, or its files are not those of its manifest."""


class InputError(TrackerError):
    """What the person gave cannot be used as it is."""


class RecordError(InputError):
    """A record is not a post; the message never quotes the record, which may hold personal data."""
