"""The text of what platforms and feeds write in HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from data.records import MAX_TEXT_CHARACTERS

MAX_MARKUP_CHARACTERS = 8 * MAX_TEXT_CHARACTERS  # tags and attributes take more room than the text does
_PARAGRAPHS = frozenset(("p", "ul", "ol", "blockquote", "table", "pre", "h1", "h2", "h3", "h4", "h5", "h6"))
_LINES = frozenset(("br", "div", "li", "tr"))
_UNSEEN = frozenset(("script", "style", "template", "noscript", "iframe"))


def plain_text(markup: str, *, links: bool = True) -> str:
    """The text with its paragraphs; a mention begins with @, and with `links` a link is followed by its address.

    Raises ValueError where the markup is longer than any post's.
    """
    if len(markup) > MAX_MARKUP_CHARACTERS:
        raise ValueError(f"more than {MAX_MARKUP_CHARACTERS:,} characters of HTML")
    parser = _Text(links)
    parser.feed(markup)
    parser.close()
    text = re.sub(r" ?\n ?", "\n", re.sub(r" +", " ", "".join(parser.parts)))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


class _Text(HTMLParser):
    def __init__(self, links: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._links = links
        self._open: tuple[int, str, bool] | None = None  # where the link's text begins, its address, whether a mention
        self._unseen = 0

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """`<![…` is no HTML and goes to the next `>`, as in a browser; the parser of Python would raise."""
        return self.parse_bogus_comment(i, report)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Breaks, and where a link begins."""
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "a" and self._open is None:
            given = {name: value or "" for name, value in attrs}
            self._open = (len(self.parts), given.get("href", ""), "mention" in given.get("class", "").split())
        else:
            self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        """Breaks, and a link as text."""
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag == "br":  # `<br/>` comes as a begin and an end
            return
        elif tag == "a" and self._open is not None:
            begin, address, is_mention = self._open
            self._open = None
            shown = "".join(self.parts[begin:]).strip()
            self.parts[begin:] = [self._link(shown, address, is_mention)]
        else:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        """Text, with single spaces."""
        if not self._unseen:
            self.parts.append(re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif tag in _LINES:
            self.parts.append("\n")

    def _link(self, shown: str, address: str, is_mention: bool) -> str:
        if shown.startswith(("#", "@")):
            return shown
        if is_mention:  # some servers leave the @ out
            return f"@{shown}"
        if not self._links or not address.startswith(("https://", "http://")):
            return shown
        if not shown or address.partition("://")[2].startswith(shown.rpartition("://")[2].rstrip("…/ ")):
            return address
        return f"{shown} {address}"
