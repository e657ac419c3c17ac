# ruff: noqa: E501 (tables of texts)
"""Cookies as people paste them."""

import json

import pytest

from ghostwriter.collecting.sources.cookies import parse_cookie

Z, D = "2|1:0|10:1700000000|4:z_c0|80:MS4xabc=|f00d", "AbC_d-e=|1700000000"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"
HEADER = f"_zap=1-2; d_c0={D}; z_c0={Z}"
ROWS = [{"name": "z_c0", "value": Z, "domain": ".zhihu.com"}, {"name": "d_c0", "value": D, "domain": ".zhihu.com"}]
FOREIGN = {"name": "sid", "value": "x", "domain": ".bank.com"}

PASTED = {
    "bare": HEADER,
    "with its name": f"Cookie: {HEADER}",
    "lower case name, trailing semicolon": f"cookie:{HEADER};\n",
    "in quotes": f"'{HEADER}'",
    "one pair a line": HEADER.replace("; ", ";\n"),
    "one pair a line, no semicolons": HEADER.replace("; ", "\n"),
    "broken inside a value": HEADER.replace("|10:", "|\n10:"),
    "windows line ends and a mark": "\ufeff" + HEADER.replace("; ", ";\r\n"),
    "quoted values": f'd_c0="{D}"; z_c0="{Z}"',
    "among other headers": f"Host: www.zhihu.com\nAccept: */*\nCookie: {HEADER}\nReferer: https://www.zhihu.com/\nUser-Agent: {AGENT}",
    "names and values on lines of their own": f"accept:\n*/*\ncookie:\n{HEADER}\nuser-agent:\n{AGENT}",
    "cURL of bash": f"curl 'https://www.zhihu.com/api/v4/me' \\\n  -H 'accept: */*' \\\n  -H 'cookie: {HEADER}' \\\n  -H 'user-agent: {AGENT}' --compressed",
    "cURL with -b": f"curl 'https://www.zhihu.com/' -b '{HEADER}' -H 'user-agent: {AGENT}'",
    "cURL with $''": f"curl 'https://www.zhihu.com/' -H $'cookie: {HEADER}; n=\\u4f60\\'' -H 'user-agent: {AGENT}'",
    "cURL of cmd": f'curl ^"https://www.zhihu.com/^" ^\n  -H ^"cookie: {HEADER}^" ^\n  -H ^"user-agent: {AGENT}^"',
    "PowerShell": f'$session.UserAgent = "{AGENT}"\n$session.Cookies.Add((New-Object System.Net.Cookie("d_c0", "{D}", "/", ".zhihu.com")))\n'
    f'$session.Cookies.Add((New-Object System.Net.Cookie("z_c0", "{Z}", "/", ".zhihu.com")))',
    "fetch of Node.js": f'fetch("https://www.zhihu.com/", {{"headers": {{"accept": "*/*", "cookie": "{HEADER}", "user-agent": "{AGENT}"}}}});',
    "JSON of an extension": json.dumps([FOREIGN, *ROWS]),
    "JSON of Playwright": json.dumps({"cookies": ROWS, "origins": []}),
    "JSON object": json.dumps({"z_c0": Z, "d_c0": D, "User-Agent": AGENT}),
    "JSON with a header": json.dumps({"cookie": HEADER, "userAgent": AGENT}),
    "JSON with the agent on a line after it": json.dumps(ROWS) + f"\nUser-Agent: {AGENT}",
    "Netscape file": "# Netscape HTTP Cookie File\n"
    f".bank.com\tTRUE\t/\tTRUE\t0\tsid\tx\n#HttpOnly_.zhihu.com\tTRUE\t/\tTRUE\t1900000000\tz_c0\t{Z}\nwww.zhihu.com\tFALSE\t/\tFALSE\t0\td_c0\t{D}\n",
    "agent alone on a line after it": f"{HEADER}\n{AGENT}",
    "two headers": f"Cookie: z_c0={Z}\nCookie: d_c0={D}",
    "whole header in quotes": f'"Cookie: {HEADER}"',
    "Netscape file with blanks": f".zhihu.com TRUE / TRUE 1900000000 z_c0 {Z}\n.zhihu.com TRUE / TRUE 0 d_c0 {D}\n",
    "storage tab": f"z_c0\t{Z}\t.zhihu.com\t/\t2026-01-01\t90\nd_c0\t{D}\t.zhihu.com\t/\t2026-01-01\t50\n",
}


@pytest.mark.parametrize("text", PASTED.values(), ids=PASTED)
def test_each_pasted_form_gives_the_two_parts(text: str) -> None:
    cookie = parse_cookie(text)
    assert (cookie.pairs["z_c0"], cookie.pairs["d_c0"], cookie.missing) == (Z, D, ())
    assert "sid" not in cookie.pairs
    if AGENT in text:
        assert cookie.user_agent == AGENT
    else:
        assert cookie.user_agent is None


def test_an_agent_that_is_no_mozilla_counts_too() -> None:
    assert parse_cookie(f"{HEADER}\nUser-Agent: Test/1").user_agent == "Test/1"
    assert parse_cookie(f"curl 'https://x' -H 'cookie: {HEADER}' -H 'user-agent: Test/1'").user_agent == "Test/1"
    assert parse_cookie(f"{HEADER}\n{AGENT}").user_agent == AGENT


def test_values_outside_latin_1_are_sent_as_utf_8() -> None:
    assert parse_cookie(f"{HEADER}; name=老程").header.endswith("; name=老程".encode())


def test_no_header_can_be_smuggled_in() -> None:
    assert b"\n" not in parse_cookie(json.dumps({"z_c0": "a\r\nX-Evil: 1", "d_c0": "b"})).header


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", ("z_c0", "d_c0")),
        ("hello", ("z_c0", "d_c0")),
        ("z_c0=; d_c0=x", ("z_c0",)),
        ('z_c0=""; d_c0=x', ("z_c0",)),
        ("{}", ("z_c0", "d_c0")),
    ],
)
def test_what_is_missing_is_said(text: str, missing: tuple[str, ...]) -> None:
    assert parse_cookie(text).missing == missing


def test_its_text_forms_hide_the_values() -> None:
    cookie = parse_cookie(HEADER)
    assert "1700000000" not in f"{cookie} {cookie!r}"
    assert cookie.scrub(f"echo {Z} and {D}") == "echo [cookie] and [cookie]"
