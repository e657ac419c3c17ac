"""Zhihu's (and Stack Exchange's) HTML -> text with light Markdown: one line a paragraph, code fenced, pictures and links kept once.

A real HTML5 parser builds the tree; nothing here recurses, and HTML too deep or too crowded for a tree is read as flat text.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ghostwriter.collecting.html_nodes import (
    CROWDED_TAG,
    DROPPED,
    children,
    css_class,
    depth,
    end_caption,
    flat,
    follows_empty_cell,
    in_markdown,
    inline_code,
    is_inner,
    language,
    list_depth,
    outbound_address,
    subtree_text,
)

DEEPEST = 1_000
"""Nesting beyond which the parser's time grows with the square of the depth."""
MOST_PREFIXES = 6
PICTURE, VIDEO = "[图片]", "[视频]"

BLOCKS = frozenset(
    re.findall(
        r"\S+",
        "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header "
        "hr li main nav ol p pre section summary table tbody thead tr ul video",
    )
)
CJK = "\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\u3000-\u303f"


ROUND_BRACKETS = str.maketrans("[]", "()")


@dataclass
class Rendered:
    """Text, and how often each rule did something."""

    text: str
    counts: Counter[str] = field(default_factory=Counter)


def render(html: str) -> Rendered:
    """The text of an HTML fragment."""
    if depth(html) > DEEPEST or CROWDED_TAG.search(html):
        return Rendered(flat(html), Counter({"read_as_flat_text": 1}))
    body = LexborHTMLParser(f"<body>{html}").body  # said outright, or a fragment that begins with <noscript> would begin a head
    renderer = Renderer()
    if body is not None:
        renderer.walk(body)
    return Rendered(renderer.text, renderer.counts)


class Renderer:
    """Walks a tree in document order and writes lines."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._parts: list[str] = []
        self._at_line_start = True
        self._space = False
        self._prefixes: list[str] = []
        self._bullet = ""
        self._caption: str | None = None
        self._numbers: dict[int, int] = {}
        self._has_picture: dict[int, bool] = {}

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._parts)

    def walk(self, root: LexborNode) -> None:
        """Write everything under `root`; an explicit stack, so that depth costs no recursion."""
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self._leave(node)
            elif self._enter(node):
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(list(children(node))))

    def _enter(self, node: LexborNode) -> bool:
        """Write what comes before a node's children; False when they are not to be visited."""
        tag = node.tag or ""
        if tag == "-text":
            self._write(node.text_content or "")
            return False
        if tag in DROPPED or self._write_special(node, tag):
            return False
        if tag in BLOCKS:
            self._break()
        if tag == "blockquote":
            self._prefixes.append("> ")
        elif tag == "li":
            self._bullet = self._item_mark(node)
        elif tag in ("td", "th") and (not self._at_line_start or follows_empty_cell(node)):
            self._raw(" | ")
        return True

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == "p" and "ztext-empty-paragraph" in css_class(node):
            self._parts.append("\n")
        if tag in BLOCKS:
            self._break()
        if tag == "blockquote" and self._prefixes:
            self._prefixes.pop()
        elif tag == "li":
            self._bullet = ""
        elif tag == "figure":
            self._caption = end_caption(node)

    def _write_special(self, node: LexborNode, tag: str) -> bool:
        """Write a node whose children do not count; False for any other node."""
        attributes = node.attributes
        if tag == "br":
            self._parts.append("\n")
            self._at_line_start, self._space = True, False
        elif tag == "hr":
            self._line("---")
        elif tag == "noscript":
            return self._noscript(node)
        elif tag == "img":
            self._image(node)
        elif tag == "pre" or (tag == "code" and "\n" in subtree_text(node)):
            self._code(node)
        elif tag == "code":
            self._raw(inline_code(subtree_text(node)))
        elif tag == "video" or "video-box" in css_class(node):
            self.counts["videos"] += 1
            self._line(VIDEO)
        elif tag == "sup" and attributes.get("data-draft-type") == "reference":
            self.counts["references_dropped"] += 1
        elif "ztext-math" in css_class(node) and attributes.get("data-tex"):
            self._equation(str(attributes["data-tex"]))
        elif tag == "a":
            self._link(node)
        else:
            return False
        return True

    def _noscript(self, node: LexborNode) -> bool:
        """The second copy of a lazy picture is dropped; the only copy is not."""
        parent = node.parent
        alone = False
        if parent is not None and parent.tag == "figure":
            if parent.mem_id not in self._has_picture:
                self._has_picture[parent.mem_id] = any(child.tag == "img" for child in children(parent))
            alone = not self._has_picture[parent.mem_id]
        self.counts["noscript_dropped"] += not alone
        return not alone

    def _item_mark(self, node: LexborNode) -> str:
        """The mark before a list item, indented by the lists around it."""
        indent, parent = "  " * max(0, list_depth(node) - 1), node.parent
        if parent is None or parent.tag != "ol":
            return f"{indent}- "
        start = parent.attributes.get("start") or ""
        first = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1
        number = self._numbers[parent.mem_id] = self._numbers.get(parent.mem_id, first - 1) + 1
        return f"{indent}{number}. "

    def _image(self, node: LexborNode) -> None:
        attributes = node.attributes
        if attributes.get("eeimg"):
            tex = parse_qs(urlsplit(attributes.get("src") or "").query).get("tex", [""])[0]
            self._equation(attributes.get("alt") or tex)
            return
        address = next(
            (attributes[key] for key in ("data-original", "data-actualsrc", "src") if (attributes.get(key) or "").startswith("http")), None
        )
        self.counts["pictures"] += 1
        self._line(f"![]({in_markdown(address)})" if address else PICTURE)

    def _equation(self, tex: str) -> None:
        self.counts["equations"] += 1
        self._raw(f"${tex.strip().rstrip(chr(92)).strip()}$")

    def _code(self, node: LexborNode) -> None:
        content = subtree_text(node).strip("\n")
        longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
        fence = "`" * max(3, longest + 1)
        self._break()
        for line in (f"{fence}{language(node)}", *content.split("\n"), fence):
            self._raw(line)
            self._parts.append("\n")
            self._at_line_start = True

    def _link(self, node: LexborNode) -> None:
        attributes, kind = node.attributes, node.attributes.get("data-draft-type") or ""
        if kind == "mcn-link-card":
            self.counts["adverts_dropped"] += 1
            return
        target = outbound_address(attributes.get("href") or "")
        if kind == "link-card" or "LinkCard" in css_class(node):
            title = node.css_first(".LinkCard-title")
            label = " ".join(subtree_text(title if title is not None else node).split())
            self._line(label or attributes.get("data-text") or attributes.get("data-draft-title") or target)
            return
        label = " ".join(subtree_text(node).split())
        if any(child.tag == "img" for child in node.css("img")):
            for picture in node.css("img"):
                self._image(picture)
        if not label or not target or is_inner(node) or re.match(r"(https?://|www\.)", label) or target.endswith(label):
            self._write(label)
        else:
            self.counts["links"] += 1
            self._write(f"[{label.translate(ROUND_BRACKETS)}]({in_markdown(target)})")

    def _line(self, text: str) -> None:
        self._break()
        self._raw(text)
        self._break()

    def _break(self) -> None:
        self._space = False
        if not self._at_line_start:
            self._parts.append("\n")
            self._at_line_start = True

    def _write(self, text: str) -> None:
        """Write running text: white space collapses; a raw line break between two Chinese characters vanishes."""
        text = re.sub(rf"(?<=[{CJK}])[ \t\f]*\n\s*(?=[{CJK}])", "", text.replace("\r", "\n"))
        text = re.sub(r"[ \t\n\f]+", " ", text)
        bare = text.strip(" ")
        if self._caption is not None and bare:
            repeated, self._caption = bare == self._caption, None
            if repeated:
                return
        if text.startswith(" "):
            self._space = True
        if bare:
            self._raw(bare)
            self._space = text.endswith(" ")

    def _raw(self, text: str) -> None:
        if not text:
            return
        if self._at_line_start:
            self._parts.append("".join(self._prefixes[:MOST_PREFIXES]) + self._bullet)
            self._bullet, self._at_line_start = "", False
        elif self._space:
            self._parts.append(" ")
        self._space = False
        self._parts.append(text)
