"""Mirror, proxy and token in a real process: through a proxy with a password to a gated base, with none of them in what it prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.conftest import ROOT
from tests.training.gated_hub import CONFIG, HUB, LOGIN, TOKEN, gated_hub
from training.network import FORMS, SECRETS, hidden_words, problem_of

FETCH = """
import sys
from training.command import guarded
from training.errors import TrainingError
def work():
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import GatedRepoError
    try:
        print(open(hf_hub_download("someone/gated", "config.json")).read())
    except GatedRepoError:
        raise TrainingError("gated") from None
sys.exit(guarded(work))
"""
LEAKS = """
import logging, os, sys
from training.command import guarded
def work():
    logging.getLogger("training").info("with %s", os.environ["HF_TOKEN"])
    raise ValueError(f"no way through {os.environ['HTTP_PROXY']}")
guarded(work)
"""


def run(program: str, tmp_path: Path, secrets: str | None, **settings: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "training.env"
    named = {"GHOSTWRITER_TRAINING_SECRETS": str(file)}
    if secrets is not None:
        file.write_text(secrets)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "cache"), **named, **settings}
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_gated_base_is_fetched_from_a_mirror_through_a_proxy_with_a_password(tmp_path: Path) -> None:
    with gated_hub() as proxy:
        whole = f"# of our network\nHTTP_PROXY=http://{LOGIN}@{proxy}\nHF_TOKEN={TOKEN}\n"
        done = run(FETCH, tmp_path, whole, HF_ENDPOINT=HUB)
        refused = run(FETCH, tmp_path, f"HTTP_PROXY=http://{LOGIN}@{proxy}\n", HF_ENDPOINT=HUB, HF_HOME=str(tmp_path / "other"))
    assert (done.stdout, done.returncode) == (f"{CONFIG.decode()}\n", 0), done.stderr
    assert (refused.stderr, refused.returncode) == ("gated\n", 1)


def test_nothing_that_the_process_prints_holds_a_secret(tmp_path: Path) -> None:
    done = run(LEAKS, tmp_path, f"HF_TOKEN={TOKEN}\nHTTP_PROXY=http://reader:p%40ss9f2b@proxy:3128\n")
    assert "with ***\n" in done.stdout
    assert "ValueError: no way through ***\n" in done.stderr
    assert not any(word in done.stdout + done.stderr for word in (TOKEN, "p%40ss9f2b"))


def test_a_proxys_login_is_hidden_as_it_is_written_and_as_it_is_meant() -> None:
    words = hidden_words({"HTTPS_PROXY": "http://reader:p%40ss@proxy:3128"})
    assert words == ["http://reader:p%40ss@proxy:3128", "reader:p%40ss", "reader:p@ss", "p%40ss", "p@ss"]


def test_what_listens_on_this_machine_is_never_asked_through_the_proxy(tmp_path: Path) -> None:
    program = "import os; from training.network import take_settings; take_settings(); print(os.environ['no_proxy'])"
    settings = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "mlflow"}
    assert run(program, tmp_path, "", **settings).stdout == "mlflow,localhost,127.0.0.1,::1\n"


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        (None, "There is no file "),
        ("HF_TOKEN=a\nLD_PRELOAD=seeded-1", "Line 2 of "),
        ("seeded-1", "Line 1 of "),
        ("HF_TOKEN=", f"with one of the names {', '.join(SECRETS)}. Mend that line."),
    ],
)
def test_a_file_that_cannot_be_used_is_said_without_what_stands_in_it(tmp_path: Path, secrets: str | None, words: str) -> None:
    done = run("import sys; from training.command import guarded; sys.exit(guarded(lambda: None))", tmp_path, secrets)
    assert (words in done.stderr, "seeded-1" in done.stderr, done.returncode) == (True, False, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_ENDPOINT", "https://mirror.example.org/hf"),
        ("MODELSCOPE_ENDPOINT", "http://10.0.0.5:8080"),
        ("MODELSCOPE_DOMAIN", "hub.example.org"),
        ("HTTP_PROXY", "http://proxy:3128"),
        ("HTTPS_PROXY", "socks5h://[fd00::1]:1080/"),
        ("NO_PROXY", "mlflow, .example.org,10.0.0.0/8,[::1]"),
    ],
)
def test_settings_may_be_addresses_and_nothing_else(name: str, value: str) -> None:
    assert problem_of(name, value) is None
    assert "holds a login" in str(problem_of(name, f"http://me:seeded@{value}"))
    assert "seeded" not in str(problem_of(name, f"http://me:seeded@{value}"))
    assert problem_of(name, f"{value}\nX=1") and problem_of(name, "a" * 1_001) and problem_of(name, "x;y")
    assert name in FORMS
