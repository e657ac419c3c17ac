"""Zhihu's (and Stack Exchange's) HTML -> text with light Markdown: one line a paragraph, code fenced, pictures and links kept once.

A real HTML5 parser builds the tree; nothing here recurses, and HTML nested too deeply for a tree is read as flat text.
"""

import html as entities
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

DEEPEST = 1_000
"""Nesting beyond which the parser's time grows with the square of the depth."""
MOST_PREFIXES = 6
HIGHEST_LOOK = 16
"""Ancestors looked at to see how deep a list item lies."""
PICTURE, VIDEO = "[图片]", "[视频]"

BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "thead",
        "tr",
        "ul",
        "video",
    ]
)
DROPPED = frozenset(
    [
        "script",
        "style",
        "svg",
        "iframe",
        "template",
        "head",
        "title",
        "object",
        "embed",
        "audio",
        "canvas",
        "textarea",
        "select",
        "button",
        "input",
        "meta",
        "link",
        "-comment",
        "-doctype",
    ]
)
SELF_CLOSING = frozenset(
    [
        "p",
        "li",
        "td",
        "th",
        "tr",
        "tbody",
        "thead",
        "dd",
        "dt",
        "option",
        "br",
        "hr",
        "img",
        "input",
        "meta",
        "link",
        "wbr",
        "source",
        "col",
        "area",
        "base",
        "embed",
        "param",
        "track",
    ]
)
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
CJK = "\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\u3000-\u303f"


@dataclass
class Rendered:
    """Text, and how often each rule did something."""

    text: str
    counts: Counter[str] = field(default_factory=Counter)


def render(html: str) -> Rendered:
    """The text of an HTML fragment."""
    if _depth(html) > DEEPEST:
        return Rendered(_flat(html), Counter({"nested_too_deeply": 1}))
    body = LexborHTMLParser(html).body
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
                stack.extend((child, False) for child in reversed(list(_children(node))))

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
        elif tag in ("td", "th") and not self._at_line_start:
            self._raw(" | ")
        return True

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == "p" and "ztext-empty-paragraph" in _class(node):
            self._parts.append("\n")
        if tag in BLOCKS:
            self._break()
        if tag == "blockquote" and self._prefixes:
            self._prefixes.pop()
        elif tag == "li":
            self._bullet = ""
        elif tag == "figure":
            self._caption = _end_caption(node)

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
        elif tag == "pre" or (tag == "code" and "\n" in _subtree_text(node)):
            self._code(node)
        elif tag == "code":
            self._raw(_inline_code(_subtree_text(node)))
        elif tag == "video" or "video-box" in _class(node):
            self.counts["videos"] += 1
            self._line(VIDEO)
        elif tag == "sup" and attributes.get("data-draft-type") == "reference":
            self.counts["references_dropped"] += 1
        elif "ztext-math" in _class(node) and attributes.get("data-tex"):
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
                self._has_picture[parent.mem_id] = any(child.tag == "img" for child in _children(parent))
            alone = not self._has_picture[parent.mem_id]
        self.counts["noscript_dropped"] += not alone
        return not alone

    def _item_mark(self, node: LexborNode) -> str:
        """The mark before a list item, indented by the lists around it."""
        indent, parent = "  " * max(0, _list_depth(node) - 1), node.parent
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
        self._line(f"![]({address})" if address else PICTURE)

    def _equation(self, tex: str) -> None:
        self.counts["equations"] += 1
        self._raw(f"${tex.strip().rstrip(chr(92)).strip()}$")

    def _code(self, node: LexborNode) -> None:
        content = _subtree_text(node).strip("\n")
        longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
        fence = "`" * max(3, longest + 1)
        self._break()
        for line in (f"{fence}{_language(node)}", *content.split("\n"), fence):
            self._raw(line)
            self._parts.append("\n")
            self._at_line_start = True

    def _link(self, node: LexborNode) -> None:
        attributes, kind = node.attributes, node.attributes.get("data-draft-type") or ""
        if kind == "mcn-link-card":
            self.counts["adverts_dropped"] += 1
            return
        target = _target(attributes.get("href") or "")
        if kind == "link-card" or "LinkCard" in _class(node):
            title = node.css_first(".LinkCard-title")
            label = " ".join(_subtree_text(title if title is not None else node).split())
            self._line(label or attributes.get("data-text") or attributes.get("data-draft-title") or target)
            return
        label = " ".join(_subtree_text(node).split())
        if any(child.tag == "img" for child in node.css("img")):
            for picture in node.css("img"):
                self._image(picture)
        if not label or not target or "internal" in _class(node).split() or re.match(r"(https?://|www\.)", label) or label in target:
            self._write(label)
        else:
            self.counts["links"] += 1
            self._write(f"[{label}]({target})")

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


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _subtree_text(node: LexborNode) -> str:
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
            stack.extend(reversed(list(_children(current))))
    return "".join(parts)


def _class(node: LexborNode) -> str:
    return node.attributes.get("class") or ""


def _list_depth(node: LexborNode) -> int:
    depth, ancestor = 0, node.parent
    for _ in range(HIGHEST_LOOK):
        if ancestor is None:
            break
        depth += ancestor.tag in ("ul", "ol")
        ancestor = ancestor.parent
    return depth


def _end_caption(figure: LexborNode) -> str | None:
    """The caption already written inside a figure; bare text after it that repeats it is not written again."""
    written = figure.css_first("figcaption")
    return " ".join(_subtree_text(written).split()) if written is not None else None


def _inline_code(content: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{ticks}{pad}{content}{pad}{ticks}" if content.strip() else content.strip()


def _language(node: LexborNode) -> str:
    code = node.css_first("code") if node.tag != "code" else node
    for candidate in (code, node):
        if candidate is None:
            continue
        found = re.search(r"lang(?:uage)?-([\w+#.-]+)", _class(candidate))
        name = found[1] if found else candidate.attributes.get("lang") or ""
        if re.fullmatch(r"[\w+#.-]{1,30}", name):
            return name
    return ""


def _target(href: str) -> str:
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


def _depth(html: str) -> int:
    """An upper bound of how deep elements nest, from one pass over the tags."""
    depth = deepest = 0
    for found in TAG.finditer(html):
        if found[2].lower() in SELF_CLOSING:
            continue
        depth = max(0, depth - 1) if found[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _flat(html: str) -> str:
    """Text without a tree: blocks become lines, other tags vanish."""
    html = re.sub(r"</?(?:p|div|br|li|ul|ol|h[1-6]|tr|table|blockquote|figure|pre|section)\b[^<>]*>", "\n", html, flags=re.IGNORECASE)
    return entities.unescape(re.sub(r"<[^<>]*>", "", html))
