"""What the guard of the tests allows, and a body that it allows."""

from typing import Any

from guard.policy import Policy

POLICY = Policy(
    project="gw",
    images=frozenset({"ghostwriter-training"}),
    volumes={"gw_home": ("/var/lib/ghostwriter", False), "gw_netrc": ("/run/ghostwriter", True)},
    network="gw_training",
    memory=2**30,
    total_memory=2**30,
    containers=3,
    gpus=0,
    network_settings={"HF_ENDPOINT": "https://mirror.example.org", "NO_PROXY": "mlflow,localhost"},
)
HOME = {"Type": "volume", "Source": "gw_home", "Target": "/var/lib/ghostwriter"}
REQUEST = "/var/lib/ghostwriter/runs/w/1/request.json"
NAME = "ghostwriter-train-f426eab5b79579cd"
"""The container of REQUEST."""
LABELS = {
    "ghostwriter.stage": "train",
    "ghostwriter.dag": "w_train",
    "ghostwriter.run": "manual__2026-11-30T00:00:00+00:00",
    "ghostwriter.task": "train",
    "ghostwriter.map": "-1",
}
OWNED = {**LABELS, "ghostwriter.guard": "gw"}


def body(**changes: Any) -> dict[str, Any]:
    """A create call's body as the launcher sends it, with changes; `host` changes HostConfig."""
    host = {
        "Mounts": [HOME],
        "NetworkMode": "gw_training",
        "Memory": 2**29,
        "ShmSize": 2**26,
        **changes.pop("host", {}),
    }
    return {
        "Image": "ghostwriter-training",
        "Cmd": ["training", "train", REQUEST],
        "Labels": LABELS,
        "HostConfig": host,
        **changes,
    }
