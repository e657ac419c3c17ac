"""Turn a cookie, as people paste it, into the pairs to send and the User-Agent that belongs to it.

Understood: a Cookie header with or without its name, on one line or several; "copy as cURL" (bash and cmd), PowerShell and
fetch; the table of the browser's storage tab; JSON of cookie extensions; Netscape cookies.txt; each with a `User-Agent:` line beside it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

NEEDED = ("z_c0", "d_c0")
DOMAIN = "zhihu.com"
NAME = r"[A-Za-z0-9_!#$%&'*+.^`|~-]{1,80}"
HIDDEN_FROM = 6
Pairs = dict[str, str]


@dataclass(frozen=True)
class Cookie:
    """Name-value pairs and the browser's User-Agent. Never printed: its text forms name the pairs only."""

    pairs: Pairs = field(repr=False)
    user_agent: str | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts a login needs and this one lacks."""
        return tuple(name for name in NEEDED if not self.pairs.get(name))

    @property
    def header(self) -> bytes:
        """The value of the Cookie header; characters outside ASCII as UTF-8, the way browsers send them."""
        return "; ".join(f"{name}={value}" for name, value in self.pairs.items()).encode("utf-8", errors="replace")

    def scrub(self, text: str) -> str:
        """`text` without any of the values, in case a server echoes them."""
        for value in sorted(self.pairs.values(), key=len, reverse=True):
            if len(value) >= HIDDEN_FROM:
                text = text.replace(value, "[cookie]")
        return text


def parse_cookie(text: str) -> Cookie:
    """The cookie in `text`; one without pairs when there is none. Of JSON and Netscape files, only Zhihu's own cookies are taken."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("﻿").strip()
    agent = _user_agent(text)
    for reader in (_from_json, _from_netscape, _from_commands, _from_table, _from_headers):
        pairs = reader(text)
        if pairs:
            return Cookie({_plain(name): _plain(value) for name, value in pairs.items()}, agent)
    return Cookie({}, agent)


def _from_json(text: str) -> Pairs:
    try:
        value = json.loads(text[: text.rindex("}" if text.startswith("{") else "]") + 1] if text[:1] in "{[" else text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, dict) and isinstance(value.get("cookies"), list | dict):
        value = value["cookies"]
    if isinstance(value, list):
        return dict(_json_rows(value))
    if not isinstance(value, dict):
        return {}
    header = next((entry for name, entry in value.items() if name.lower() == "cookie" and isinstance(entry, str)), None)
    if header is not None:
        return _from_header(header)
    return {name: entry for name, entry in value.items() if isinstance(entry, str) and not _is_agent(name)}


def _json_rows(rows: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for row in rows:
        name = row.get("name", row.get("Name raw")) if isinstance(row, dict) else None
        value = row.get("value", row.get("Content raw")) if isinstance(row, dict) else None
        if isinstance(name, str) and isinstance(value, str) and _ours(str(row.get("domain") or row.get("host") or DOMAIN)):
            yield name, value


def _from_netscape(text: str) -> Pairs:
    pairs = {}
    for line in text.split("\n"):
        line = re.sub(r"^#HttpOnly_", "", line.strip())
        cells = line.split("\t") if "\t" in line else line.split()  # pasted through an editor, tabs become blanks
        if len(cells) == 7 and cells[1].upper() in ("TRUE", "FALSE") and _ours(cells[0]):
            pairs[cells[5]] = cells[6]
    return pairs


def _from_commands(text: str) -> Pairs:
    """cURL of bash (also with $'...') and of cmd (with ^), PowerShell's session, fetch of Node.js."""
    plain = re.sub(r"\^(.)", r"\1", text) if re.search(r"curl(\.exe)? +\^?\"", text) else text
    powershell = dict(re.findall(r"""Net\.Cookie\(\s*"([^"]+)",\s*"((?:[^"`]|`.)*)\"""", plain))
    if powershell:
        return {name: re.sub(r"`(.)", r"\1", value) for name, value in powershell.items()}
    if not re.search(r"\bcurl\b|\bfetch\(|(^|\s)-H\s|--header\b|--cookie\b|(^|\s)-b\s", plain):
        return {}
    for pattern in (
        r"(?:-H|--header)[\s=]+\$?'cookie:\s*((?:[^'\\]|\\.)*)'",
        r'(?:-H|--header)[\s=]+"cookie:\s*((?:[^"\\]|\\.)*)"',
        r"(?:-b|--cookie)[\s=]+\$?'((?:[^'\\]|\\.)*)'",
        r'(?:-b|--cookie)[\s=]+"((?:[^"\\]|\\.)*)"',
        r'"cookie"\s*:\s*"((?:[^"\\]|\\.)*)"',
    ):
        found = re.search(pattern, plain, re.IGNORECASE)
        if found:
            return _from_header(_unescape(found[1]))
    return {}


def _from_table(text: str) -> Pairs:
    """Rows of the browser's storage tab: name, tab, value, tab, domain."""
    rows = [line.split("\t") for line in text.split("\n") if line.count("\t") >= 2]
    return {cells[0]: cells[1] for cells in rows if re.fullmatch(NAME, cells[0]) and _ours(cells[2])}


def _from_headers(text: str) -> Pairs:
    """A Cookie header among other headers, or the bare value; lines that were broken by an editor are joined again."""
    lines: list[str] = []
    named = False
    for line in text.split("\n"):
        if re.match(r"\s*(Mozilla/5\.0 |user-agent\s*$)", line, re.IGNORECASE):
            continue
        line = line.strip()[1:-1] if re.fullmatch(r"\s*(['\"])cookie:.*\1\s*", line, re.IGNORECASE) else line
        header = re.match(r"\s*['\"]?(:?[A-Za-z][A-Za-z0-9-]*)\s*:(?!//)\s*(.*)", line)
        if header and header[1].lower() == "cookie":
            lines, named = [*(lines if named else []), header[2]], True
        elif header and "=" not in header[1] and not _continues(lines, line):
            if named:
                break
        else:
            lines.append(line)
    return _from_header(_join(lines))


def _continues(lines: list[str], line: str) -> bool:
    """Whether `line` goes on with a cookie that an editor broke (`2|1:0|10:...`), and is no header of its own."""
    return bool(lines) and "|" in line.split(":", 1)[0]


def _join(lines: list[str]) -> str:
    joined = ""
    for line in (line.strip() for line in lines):
        starts_pair = re.match(rf"{NAME}=(?![=;]|$)", line)
        joined += (";" if starts_pair and joined and not joined.endswith(";") else "") + line
    return joined


def _from_header(value: str) -> Pairs:
    value = value.strip().strip("'\"").strip() if value.strip()[:1] in "'\"" else value.strip()
    pairs = {}
    for part in value.replace("\n", "").split(";"):
        name, equals, content = part.strip().partition("=")
        if equals and re.fullmatch(NAME, name.strip()):
            pairs[name.strip()] = content.strip()
    return pairs


def _user_agent(text: str) -> str | None:
    plain = re.sub(r"\^(.)", r"\1", text)
    for pattern in (
        r"(?:-H|--header)[\s=]+\$?'user-agent:\s*([^'\n]+)'",
        r'(?:-H|--header)[\s=]+"user-agent:\s*([^"\n]+)"',
        r"(?:-A|--user-agent)[\s=]+['\"]([^'\"\n]+)['\"]",
        r"['\"]user[_-]?agent['\"]\s*:\s*['\"]([^'\"\n]+)['\"]",
        r"\bUserAgent\s*=\s*\"([^\"\n]+)\"",
        r"^\s*user-agent:\s*([^\n]+)",
        r"^\s*(Mozilla/5\.0 [^\n\"']+)$",
    ):
        found = re.search(pattern, plain, re.IGNORECASE | re.MULTILINE)
        if found:
            return _plain(found[1])
    return None


def _is_agent(name: str) -> bool:
    return name.lower().replace("-", "").replace("_", "") == "useragent"


def _ours(domain: str) -> bool:
    host = domain.lower().lstrip(".").split(":")[0]
    return host == DOMAIN or host.endswith("." + DOMAIN)


def _unescape(value: str) -> str:
    value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), value)
    return re.sub(r"\\(.)", r"\1", value)


def _plain(value: str) -> str:
    """Without control characters (no header can be smuggled in), outer blanks and outer quotes."""
    value = re.sub(r"[\x00-\x1f\x7f]", "", value).strip()
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value
