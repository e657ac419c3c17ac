"""Debian's packages by a mirror while an image is built, by the script that all Dockerfiles call; apt itself is played by a file."""

import os
import re
import subprocess
from pathlib import Path

from ghostwriter.home import ROOT

DEB822 = """Types: deb
URIs: http://one.example.org/stable
Suites: bookworm bookworm-updates
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb
URIs: http://two.example.org/stable-updates
"""
ONE_LINE = "deb [trusted=yes] https://one.example.org/stable bookworm main\n# deb http://one.example.org/stable old main\n"


def install(tmp_path: Path, mirror: str = "") -> tuple[str, list[str]]:
    """What apt saw of the sources, and how it was called."""
    etc, program = tmp_path / "etc", tmp_path / "bin" / "apt-get"
    for folder in (etc / "sources.list.d", program.parent, tmp_path / "lists"):
        folder.mkdir(parents=True)
    (etc / "sources.list.d" / "debian.sources").write_text(DEB822)
    (etc / "sources.list").write_text(ONE_LINE)
    (tmp_path / "lists" / "a").touch()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncat {etc}/sources.list.d/* {etc}/sources.list > {tmp_path}/seen\n')
    program.chmod(0o755)
    (tmp_path / "mirror").write_text(f"{mirror}\n")
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "APT_ETC": str(etc), "APT_LISTS": str(tmp_path / "lists")}
    environment["APT_MIRROR_FILE"] = str(tmp_path / "mirror")
    subprocess.run(["sh", ROOT / "docker" / "apt_install.sh", "tini", "gcc"], env=environment, check=True)
    assert (etc / "sources.list.d" / "debian.sources").read_text() + (etc / "sources.list").read_text() == DEB822 + ONE_LINE
    assert not list((tmp_path / "lists").iterdir())
    return (tmp_path / "seen").read_text(), (tmp_path / "calls").read_text().splitlines()


def test_apt_looks_at_the_mirror_while_it_installs_and_the_image_keeps_its_own_sources(tmp_path: Path) -> None:
    seen, calls = install(tmp_path, "https://near.example.net/")
    assert "URIs: https://near.example.net/stable\n" in seen
    assert "URIs: https://near.example.net/stable-updates\n" in seen
    assert "deb [trusted=yes] https://near.example.net/stable bookworm main\n" in seen
    assert calls == ["update", "install -y --no-install-recommends tini gcc"]


def test_without_a_mirror_nothing_is_changed(tmp_path: Path) -> None:
    seen, _ = install(tmp_path)
    assert seen == DEB822 + ONE_LINE


def test_no_image_asks_debians_own_hosts_past_the_mirror() -> None:
    files = {path.name: path.read_text() for path in (ROOT / "docker").glob("*.Dockerfile")}
    assert [name for name, text in files.items() if "apt-get" in text] == []
    for name, text in files.items():
        assert text.count("from=mirror,") == text.count("apt_install.sh sh ") > 0, name


def test_the_history_of_an_image_does_not_tell_the_mirror() -> None:
    for path in (ROOT / "docker").glob("*.Dockerfile"):
        stages = re.split(r"^FROM ", path.read_text(), flags=re.MULTILINE)
        told = [stage.split("\n")[0] for stage in stages[1:] if re.search(r"^ARG (APT_MIRROR|PIP_)", stage, re.MULTILINE)]
        assert told == [f"${{PYTHON_IMAGE}} AS {name}" for name in ("mirror", "build")][: len(told)], path.name
