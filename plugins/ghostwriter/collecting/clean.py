"""The body of an answer -> text to read and train on; each rule that changed something is counted.

No NFKC: full-width punctuation and letters are the writer's own.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from ghostwriter.collecting.html_text import PICTURE, VIDEO, render

EMOJI_BEFORE = "\u2190-\u2bff\ufe0f\u0600-\u0fff\U0001f000-\U0001faff"
INVISIBLE = re.compile(
    "[\u200b\u200c\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"
    f"|(?<![{EMOJI_BEFORE}])\u200d"
)
SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
LINE_BREAKS = re.compile("\r\n?|\u2028|\u2029|\x85")
SURROGATES = re.compile("[\ud800-\udfff]")
IMAGE_LINE = re.compile(r"!\[\]\([^()\s]*\)|" + re.escape(PICTURE))
LINK = re.compile(r"(?<!!)\[([^\[\]\n]+)\]\(https?://[^()\s]*\)")
FENCE = re.compile(r"\s*(`{3,})[\w+#.-]*$")
PLACEHOLDERS = re.compile(r"\[(?:图片|视频|公式|文件|链接|image|video)\]", re.IGNORECASE)


@dataclass(frozen=True)
class Cleaned:
    """Text, and how often each rule changed something."""

    text: str
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def media_only(self) -> str | None:
        """The flag of a text that holds no words: image_only, video_only, empty_content; None when there are words."""
        if prose(self.text).text:
            return None
        return "image_only" if self.counts["pictures"] else "video_only" if self.counts["videos"] else "empty_content"


def clean(body: str, kind: str = "html") -> Cleaned:
    """The text of a body; `kind` is html, text or markdown (the last two keep their line breaks)."""
    counts: Counter[str] = Counter()
    if kind == "html":
        rendered = render(SURROGATES.sub("\ufffd", body).replace("\x00", ""))
        body, counts = rendered.text, rendered.counts
    text, removed = INVISIBLE.subn("", LINE_BREAKS.sub("\n", SURROGATES.sub("\ufffd", body)))
    counts["invisible_characters_removed"] += removed
    return Cleaned(_tidy(SPACES.sub(" ", text)), +counts)


def prose(text: str) -> Cleaned:
    """The words alone: without pictures, videos and link targets. What a model is trained on."""
    text, pictures = IMAGE_LINE.subn("", text)
    text, videos = re.subn(re.escape(VIDEO), "", text)
    text, links = LINK.subn(r"\1", text)
    return Cleaned(_tidy(text), +Counter(pictures_removed=pictures, videos_removed=videos, link_targets_removed=links))


def excerpt_matches(text: str, excerpt: str) -> bool | None:
    """Whether a cleaned text starts with the site's own excerpt; None when there is nothing to compare.

    White space, placeholders, punctuation and list marks do not count.
    """
    wanted = _bare(re.sub(r"(…|\.\.\.)\s*$", "", PLACEHOLDERS.sub("", excerpt)))
    if not wanted:
        return None
    plain = prose(PLACEHOLDERS.sub("", text)).text
    without_marks = re.sub(r"(?m)^\s*(?:> )*(?:[-*] |\d+\. )?", "", plain)
    without_formulas = re.sub(r"\$[^$\n]*\$", "", without_marks)
    return any(_bare(candidate).startswith(wanted) for candidate in (plain, without_marks, without_formulas))


def _tidy(text: str) -> str:
    """Lines without blanks at their ends (an ideographic space is one only there), never two blank lines in a row; fenced code as it is."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif mark:
            fence = mark[1]
        else:
            line = line.rstrip(" \t\u3000").lstrip("\u3000")
            if not line and (not lines or not lines[-1]):
                continue
        lines.append(line)
    return "\n".join(lines).strip("\n")


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)
