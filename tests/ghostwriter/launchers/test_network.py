"""What of the network's settings leaves Airflow for a process, a container or a pod: addresses, never a login."""

import logging
from pathlib import Path

import pytest

from ghostwriter.errors import LaunchError
from ghostwriter.launchers.local import training_environment
from ghostwriter.launchers.network import network_settings, secrets_file


def test_mirrors_and_proxies_are_handed_on_and_tokens_are_not() -> None:
    settings = {"HF_ENDPOINT": "https://mirror.example.org", "https_proxy": "http://proxy:3128", "NO_PROXY": "mlflow", "HTTP_PROXY": ""}
    assert network_settings({**settings, "HF_TOKEN": "hf_x", "MODELSCOPE_API_TOKEN": "x"}) == {
        "HF_ENDPOINT": "https://mirror.example.org",
        "HTTPS_PROXY": "http://proxy:3128",
        "NO_PROXY": "mlflow",
    }


def test_a_proxy_with_a_password_stays_behind_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert network_settings({"HTTPS_PROXY": "http://me:seeded-3e@proxy:3128"}) == {}
    assert "HTTPS_PROXY holds a login. Put the line HTTPS_PROXY=... into the file training.env" in caplog.text
    assert "seeded-3e" not in caplog.text


def test_what_is_no_address_is_refused_by_name() -> None:
    with pytest.raises(LaunchError, match="HF_ENDPOINT is not of the form it should have"):
        network_settings({"HF_ENDPOINT": "mirror"})


def test_the_file_in_the_home_folder_is_named_to_a_process_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example.org")
    monkeypatch.setenv("HF_TOKEN", "hf_seeded")
    assert "GHOSTWRITER_TRAINING_SECRETS" not in training_environment()
    (tmp_path / "training.env").write_text("HF_TOKEN=hf_seeded\n")
    passed = training_environment()
    assert passed["GHOSTWRITER_TRAINING_SECRETS"] == str(tmp_path / "training.env")
    assert passed["HF_ENDPOINT"] == "https://mirror.example.org"
    assert "hf_seeded" not in str(passed)
    assert secrets_file({"GHOSTWRITER_TRAINING_SECRETS": "/elsewhere"}) == {"GHOSTWRITER_TRAINING_SECRETS": "/elsewhere"}
