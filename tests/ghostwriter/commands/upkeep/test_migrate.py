"""What `migrate` gives to training containers beside the databases it makes ready."""

from pathlib import Path

from ghostwriter.commands.upkeep.migrate import give_to_training


def test_a_token_is_given_to_training_containers_and_taken_back(tmp_path: Path) -> None:
    secrets, volume = tmp_path / "secrets", tmp_path / "volume"
    secrets.mkdir()
    volume.mkdir()
    (secrets / "mlflow_netrc").write_text("machine mlflow login a password b\n")
    (secrets / "training.env").write_text("HF_TOKEN=hf_x\n")
    give_to_training(secrets, volume)
    assert {path.name: path.read_text() for path in volume.iterdir()} == {
        "netrc": "machine mlflow login a password b\n",
        "training.env": "HF_TOKEN=hf_x\n",
    }
    (secrets / "training.env").unlink()
    (secrets / "training.env").symlink_to("/dev/null")  # what compose mounts where TRAINING_SECRETS is not set
    give_to_training(secrets, volume)
    assert [path.name for path in volume.iterdir()] == ["netrc"]
