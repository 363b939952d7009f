"""The commands `status accounts`, `confirm`, `unconfirm`, `impostors` and `not-impostor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.commands import status
from data.console import one_line_errors, print_json, say, set_up_logs
from data.links import link_of
from data.official import NAIROBI
from data.settings import load_settings
from data.store import open_store

if TYPE_CHECKING:
    from data.official import OfficialAccount

REASONS = {  # what `suspected_impostors.reason` holds, in words
    "handle_same": "the same handle but for case, signs and look-alike letters",
    "handle_word": "the handle with another added word or number",
    "handle_letter": "the handle but for one letter",
    "name_same": "the same displayed name but for case, signs and look-alike letters",
    "name_word": "the displayed name with another added word or number",
    "name_letter": "the displayed name but for one letter",
}


@status.command("accounts", epilog="Example: tracker status accounts --json")
def accounts(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the official accounts: confirmed, unconfirmed (their messages grade nothing), or of an office without any."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        listed = store.accounts().accounts
        store.close()
        if as_json:
            print_json([_shown(each) for each in listed])
            return
        for each in listed:
            name = each.key or "-"
            name += f" @{each.handle}" if each.account_id and each.handle else ""
            own = " (eCitizen's own)" if each.is_ecitizen else ""
            by = f", by {each.confirmed_by}: {each.evidence}" if each.is_confirmed else ""
            typer.echo(f"{_state(each):<12} {name:<32} {each.office}{own}{by}")


def _state(account: OfficialAccount) -> str:
    if account.is_confirmed:
        return "confirmed"
    return "unconfirmed" if account.key else "no account"


def _shown(account: OfficialAccount) -> dict[str, Any]:
    return {
        "account": account.key,
        "source": account.source,
        "id": account.account_id,
        "handle": account.handle,
        "office": account.office,
        "is_ecitizen": account.is_ecitizen,
        "state": _state(account),
        "evidence": account.evidence,
        "confirmed_by": account.confirmed_by,
        "confirmed_at": account.confirmed_at.isoformat() if account.confirmed_at else None,
    }


@status.command(
    "confirm",
    epilog="Example: tracker status confirm x:123 --handle eCitizenKenya --office 'Directorate of eCitizen' --ecitizen "
    "--evidence https://example.go.ke/contacts --who 'desk 2'",
)
def confirm(
    account: Annotated[str, typer.Argument(metavar="SOURCE:ID", help="By its id; a handle can change hands.")],
    office: Annotated[str, typer.Option(metavar="NAME", help="Whose account it is.")],
    evidence: Annotated[str, typer.Option(metavar="URL", help="Where others can check that.")],
    who: Annotated[str, typer.Option(metavar="NAME", help="Who checked it; kept as a pseudonym.")],
    handle: Annotated[str | None, typer.Option(metavar="H", help="Its handle, with or without @.")] = None,
    ecitizen: Annotated[bool, typer.Option("--ecitizen", help="It is eCitizen's own.")] = False,
) -> None:
    """Confirm an official account: what it wrote, stored posts too, is its office's word from now on."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        posts, was_suspected = store.confirm_account(
            account, handle=handle, office=office, is_ecitizen=ecitizen, evidence=evidence, who=who
        )
        store.close()
        say(f"{account} is confirmed as {office}; posts of it that are stored: {posts:,}")
        if was_suspected:
            say(f"it had been suspected as an impostor: if that was right, run `tracker status unconfirm {account}`")
        if posts:
            say("those without a status get one at the next `tracker classify`; `tracker run` does it by itself")
        say("`tracker collect official` reads its timeline; where `tracker run` is running, it does so within minutes")


@status.command("unconfirm", epilog="Example: tracker status unconfirm x:123 --who 'desk 2'")
def unconfirm(
    account: Annotated[str, typer.Argument(metavar="SOURCE:ID")],
    who: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so; kept as a pseudonym.")] = None,
) -> None:
    """Take a confirmation back: the account's posts are no confirmed messages any more."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        store.unconfirm_account(account, who)
        store.close()
        say(f"{account} is not confirmed any more; its messages grade nothing")


@status.command("impostors", epilog="Example: tracker status impostors --json")
def impostors(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the accounts that look like an official one and are not: suspected, never trusted."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        found = store.impostors()
        store.close()
        for row in found:
            source, _, identifier = row["first_post"].partition(":")
            row["url"] = link_of(source, identifier)
        if as_json:
            print_json([row | {"first_seen_at": row["first_seen_at"].isoformat()} for row in found])
        elif not found:
            say("no account that looks like an official one has been seen")
        for row in [] if as_json else found:
            seen = f"{row['first_seen_at'].astimezone(NAIROBI):%a %d %b %Y %H:%M} EAT"
            link = f": {row['url']}" if row["url"] else ""
            typer.echo(f"{seen}  {row['first_post']}  resembles {row['resembles']} ({REASONS[row['reason']]}){link}")


@status.command("not-impostor", epilog="Example: tracker status not-impostor x:123 --who 'desk 2'")
def not_impostor(
    post: Annotated[
        str, typer.Argument(metavar="SOURCE:ID", help="A post of the account, as `tracker status impostors` lists it.")
    ],
    who: Annotated[str, typer.Option(metavar="NAME", help="Who looked at it; kept as a pseudonym.")],
    undo: Annotated[bool, typer.Option("--undo", help="It is suspected again.")] = False,
) -> None:
    """Say that a suspected account is no impostor: what it wrote and will write counts as anybody's."""
    set_up_logs()
    with one_line_errors():
        store = open_store(load_settings())
        posts = store.dismiss_impostor(post, who, undo=undo)
        store.close()
        does = "is suspected again" if undo else "is suspected no more"
        say(f"the account that wrote {post} {does}; posts of it that are stored: {posts:,}")
