"""The chart of a stretch of time as a picture, with its stamp in it, for where no page is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from dashboard import charts, volume
from dashboard.messages import text
from dashboard.strings import say, shown_time
from data import tables

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

WIDTH_PIXELS, SCALE = 900, 1.5


def png(engine: Engine, from_at: datetime, to_at: datetime, language: str, pretended: datetime | None = None) -> bytes:
    """People complaining by problem, with the official messages above and in grey what nobody looked at, as on the page."""
    import vl_convert

    window = volume.Window(from_at, to_at)
    posts = volume.load_posts(engine, window)
    chart = charts.volume_chart(
        volume.volume_by_problem(posts, window),
        volume.official_messages(engine, window),
        volume.not_looked_at(engine, window),
        window,
        language,
        WIDTH_PIXELS,
    )
    notes = [f"{shown_time(from_at, language)} - {shown_time(to_at, language)} EAT"]
    if _synthetic(engine, window):
        notes.append(text(language, "synthetic"))
    if pretended is not None:
        notes.append(text(language, "pretended", now=shown_time(pretended, language)))
    titled = chart.properties(title={"text": say(language, "volume"), "subtitle": notes, "anchor": "start"})
    made: bytes = vl_convert.vegalite_to_png(titled.to_dict(), scale=SCALE)
    return made


def _synthetic(engine: Engine, window: volume.Window) -> bool:
    posts = tables.posts
    inside = (posts.c.created_at >= window.from_at, posts.c.created_at < window.to_at)
    with engine.connect() as connection:
        return connection.execute(select(posts.c.id).where(posts.c.synthetic, *inside).limit(1)).scalar() is not None
