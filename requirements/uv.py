"""uv as pip is configured: `python requirements/uv.py pip install ...` runs uv with pip's index, proxy and certificate.

uv does not read pip.conf or PIP_*. Behind a company's or a country's mirror it would go past it, so what pip is told is handed on. What
uv is told itself (UV_*, SSL_CERT_FILE, HTTPS_PROXY) comes first.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SECTIONS = ("global", "install", ":env:")
"""Where pip keeps a setting; a later one counts more."""
ONE = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "proxy": ("HTTPS_PROXY", "HTTP_PROXY"),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
}
SEVERAL = {"extra-index-url": ("UV_INDEX", " "), "find-links": ("UV_FIND_LINKS", ","), "trusted-host": ("UV_INSECURE_HOST", " ")}
"""Settings that hold several values, and what uv wants between them."""


def pip_settings(listing: str) -> dict[str, str]:
    """The settings in what `pip config list` prints, by their name."""
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        key, is_setting, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if is_setting and section in SECTIONS and SECTIONS.index(section) >= found.get(name, (0, ""))[0]:
            found[name] = (SECTIONS.index(section), str(ast.literal_eval(value)))
    return {name: value for name, (_, value) in found.items()}


def uv_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The same for uv, as environment variables."""
    environment = {name: settings[key] for key, names in ONE.items() if key in settings for name in names}
    environment |= {name: between.join(settings[key].split()) for key, (name, between) in SEVERAL.items() if key in settings}
    if "extra-index-url" in settings:
        environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # to pip all indexes are alike; uv stops at the first that has the name
    return environment


def main() -> int:
    """Run uv; returns its exit status."""
    listing = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    settings = pip_settings(listing)
    no_index = ["--no-index"] if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    command = [str(Path(sys.executable).parent / "uv"), *sys.argv[1:], *no_index]
    return subprocess.run(command, env={**uv_environment(settings), **os.environ}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
