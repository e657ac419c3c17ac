"""Reading nodes of a parsed HTML tree: their text, links, captions, code; without recursion, whatever the depth."""

import html as entities
import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborNode

HIGHEST_LOOK = 16
"""Ancestors looked at to see how deep a list item lies."""
DROPPED = frozenset(
    re.findall(
        r"\S+",
        "script style svg iframe template head title object embed audio canvas textarea select button input meta link -comment -doctype",
    )
)
"""Elements whose content is no text of the answer."""
SELF_CLOSING = frozenset(
    re.findall(r"\S+", "p li td th tr tbody thead dd dt option br hr img input meta link wbr source col area base embed param track")
)
"""Elements that do not nest by themselves, or have no content."""
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
CROWDED_TAG = re.compile(r"""<[a-zA-Z][^\s<>/]*+[\s/]++(?:[^\s=<>"'/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'>]++))?+[\s/]*+){1000}""")
"""A tag of a thousand attributes: the parser's time grows with the square of their number."""
INNER_LINKS = frozenset(re.findall(r"\S+", "internal member_mention hash_tag RichContent-EntityWord"))
"""Classes of links that lead to the site itself: of them, and of attachments, only the text counts."""


def children(node: LexborNode) -> Iterator[LexborNode]:
    """The child nodes, in order."""
    child = node.child
    while child is not None:
        yield child
        child = child.next


def subtree_text(node: LexborNode) -> str:
    """All text under a node as it stands, `<br>` as a line break; equations as their source."""
    parts, stack = [], [node]
    while stack:
        current = stack.pop()
        if current.tag == "-text":
            parts.append(current.text_content or "")
        elif current.tag == "br":
            parts.append("\n")
        elif current.tag == "img" and current.attributes.get("eeimg"):
            parts.append(f"${(current.attributes.get('alt') or '').rstrip(chr(92)).strip()}$")
        elif current.tag not in DROPPED and current.tag != "noscript":
            stack.extend(reversed(list(children(current))))
    return "".join(parts)


def css_class(node: LexborNode) -> str:
    """The class attribute; empty without one."""
    return node.attributes.get("class") or ""


def list_depth(node: LexborNode) -> int:
    """How many lists lie around a node, looking up a few levels only."""
    depth, ancestor = 0, node.parent
    for _ in range(HIGHEST_LOOK):
        if ancestor is None:
            break
        depth += ancestor.tag in ("ul", "ol")
        ancestor = ancestor.parent
    return depth


def end_caption(figure: LexborNode) -> str | None:
    """The caption already written inside a figure; bare text after it that repeats it is not written again."""
    written = figure.css_first("figcaption")
    return " ".join(subtree_text(written).split()) if written is not None else None


def follows_empty_cell(cell: LexborNode) -> bool:
    """Whether the cell before this one, in the same row, holds nothing."""
    before = cell.prev
    while before is not None and before.tag not in ("td", "th"):
        before = before.prev
    return before is not None and before.child is None


def inline_code(content: str) -> str:
    """Code within a line, between more backticks than any run inside."""
    longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{ticks}{pad}{content}{pad}{ticks}" if content.strip() else content.strip()


def language(node: LexborNode) -> str:
    """The language a block of code names; empty when it names none."""
    code = node.css_first("code") if node.tag != "code" else node
    for candidate in (code, node):
        if candidate is None:
            continue
        found = re.search(r"lang(?:uage)?-([\w+#.-]+)", css_class(candidate))
        name = found[1] if found else candidate.attributes.get("lang") or ""
        if re.fullmatch(r"[\w+#.-]{1,30}", name):
            return name
    return ""


def outbound_address(href: str) -> str:
    """The outbound address behind a link, unwrapped from link.zhihu.com once; empty for inner and unsafe ones."""
    try:
        parts = urlsplit(href.strip())
        if parts.hostname == "link.zhihu.com":
            found = re.search(r"(?:^|&)target=([^&]*)", parts.query)
            href = unquote(found[1]) if found else ""
            parts = urlsplit(href)
        return href if parts.scheme in ("http", "https") and parts.hostname else ""
    except ValueError:
        return ""


def is_inner(link: LexborNode) -> bool:
    """Whether only the text of a link counts: it leads to the site itself, or is an attachment."""
    return not INNER_LINKS.isdisjoint(css_class(link).split()) or link.attributes.get("data-draft-type") == "file-link-card"


def in_markdown(address: str) -> str:
    """An address without the characters that would end a Markdown link."""
    return re.sub(r"[\s()]", lambda found: f"%{ord(found[0]):02X}", address)


def depth(html: str) -> int:
    """An upper bound of how deep elements nest, from one pass over the tags."""
    depth = deepest = 0
    for found in TAG.finditer(html):
        if found[2].lower() in SELF_CLOSING:
            continue
        depth = max(0, depth - 1) if found[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def flat(html: str) -> str:
    """Text without a tree: blocks become lines, other tags vanish."""
    html = re.sub(r"</?(?:p|div|br|li|ul|ol|h[1-6]|tr|table|blockquote|figure|pre|section)\b[^<>]*>", "\n", html, flags=re.IGNORECASE)
    return entities.unescape(re.sub(r"<[^<>]*>", "", html))
