"""The command `audit`: what was erased, corrected, handed out and re-checked, and when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import select

from data import tables
from data.console import one_line_errors, print_json, say, set_up_logs
from data.official import NAIROBI
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from datetime import datetime

    from data.store import Store

app = typer.Typer()


@app.command(epilog="Example: tracker audit --last 20")
def audit(
    last: Annotated[int, typer.Option(metavar="N", help="The newest lines; 0: all.", min=0)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """Show the audit log, the newest line first: erasures, corrections, exports and re-checks; no text and no handle."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        lines = audit_lines(store, last or None)
        store.close()
        if as_json:
            print_json([line | {"at": line["at"].isoformat()} for line in lines])
            return
        if not lines:
            say("nothing was erased, corrected or handed out yet")
        for line in lines:
            typer.echo(f"{_shown(line['at'])}  {line['action']:<24} {json.dumps(line['detail'], ensure_ascii=False)}")


def audit_lines(store: Store, last: int | None = None) -> list[dict[str, Any]]:
    """`{"id", "at", "action", "detail"}`, the newest first."""
    table = tables.audit
    with store.engine.connect() as connection:
        found = connection.execute(select(table).order_by(table.c.id.desc()).limit(last)).mappings()
        return [dict(row) for row in found]


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT"
