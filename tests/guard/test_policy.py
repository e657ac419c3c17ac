"""What may become a training container, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

import training.network
from guard import network
from guard.parsing import Refused
from guard.policy import Policy, SettingsError, parse_memory
from tests.guard.allowed import HOME, LABELS, NAME, POLICY, REQUEST, body


def test_the_body_is_built_anew_with_all_hardening_in_it() -> None:
    soft = {"ReadonlyRootfs": False, "SecurityOpt": ["seccomp=unconfined"], "PidsLimit": -1}
    assert POLICY.create_body(body(host=soft)) == {
        "Image": "ghostwriter-training",
        "Cmd": ["training", "train", REQUEST],
        "User": "10001:10001",
        "Env": [],
        "Labels": {
            **LABELS,
            "com.docker.compose.project": "",
            "com.docker.compose.service": "",
            "ghostwriter.guard": "gw",
        },
        "HostConfig": {
            "Mounts": [{**HOME, "ReadOnly": False}],
            "NetworkMode": "gw_training",
            "Memory": 2**29,
            "MemorySwap": 2**29,
            "ShmSize": 2**26,
            "DeviceRequests": [],
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 4096,
            "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=1g"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}},
        },
    }


def host(**changes: Any) -> dict[str, Any]:
    return {"host": changes}


def mount(**changes: Any) -> dict[str, Any]:
    return host(Mounts=[{**HOME, **changes}])


OPTIONS = {"DriverConfig": {"Options": {"device": "/", "o": "bind"}}}
GPU = [["gpu"]]
REFUSED = [
    (mount(Type="bind", Source="/"), "Mounts.Type 'bind' is not allowed, only volume"),
    (mount(Source="other"), "Mounts.Source 'other' is not allowed, only gw_home, gw_netrc"),
    (mount(Target="/usr"), "Mounts.Target '/usr' is not allowed, only /var/lib/ghostwriter"),
    (mount(VolumeOptions=OPTIONS), "HostConfig.Mounts.VolumeOptions is not allowed"),
    (host(Binds=["/:/host"]), "HostConfig.Binds is not allowed"),
    (host(binds=["/:/host"]), "HostConfig.binds is not allowed"),
    (host(Privileged=True), "HostConfig.Privileged is not allowed"),
    (host(privileged=True), "HostConfig.privileged is not allowed"),
    (host(NetworkMode="host"), "NetworkMode 'host' is not allowed, only gw_training"),
    (host(NetworkMode="container:postgres"), "is not allowed, only gw_training"),
    (host(NetworkMode=["gw_training"]), "NetworkMode ['gw_training'] is not allowed"),
    (host(PidMode="host"), "HostConfig.PidMode is not allowed"),
    (host(IpcMode="host"), "HostConfig.IpcMode is not allowed"),
    (host(UsernsMode="host"), "HostConfig.UsernsMode is not allowed"),
    (host(CapAdd=["SYS_ADMIN"]), "HostConfig.CapAdd is not allowed"),
    (host(Devices=[{"PathOnHost": "/dev/sda"}]), "HostConfig.Devices is not allowed"),
    (host(DeviceCgroupRules=["a *:* rwm"]), "HostConfig.DeviceCgroupRules is not allowed"),
    (host(Memory=2**31), "HostConfig.Memory must be between 1 and 1073741824, not 2147483648"),
    (host(Memory=0), "HostConfig.Memory must be between 1 and 1073741824, not None"),
    (host(PortBindings={"80/tcp": [{}]}), "HostConfig.PortBindings is not allowed"),
    (host(VolumesFrom=["postgres"]), "HostConfig.VolumesFrom is not allowed"),
    (host(Runtime="other"), "HostConfig.Runtime is not allowed"),
    (host(Links=["postgres:x"]), "HostConfig.Links is not allowed"),
    (host(DeviceRequests=[{"Count": 1, "Capabilities": GPU}]), "other devices than the guard"),
    (host(DeviceRequests=[{"Driver": "cdi", "Count": 1}]), "DeviceRequests.Driver is not allowed"),
    ({"Image": "alpine"}, "Image 'alpine' is not allowed, only ghostwriter-training"),
    ({"Image": ["ghostwriter-training"]}, "Image ['ghostwriter-training'] is not allowed"),
    ({"User": "0"}, "User '0' is not allowed"),
    ({"Env": ["LD_PRELOAD=/x"]}, "Env 'LD_PRELOAD' is not allowed, only HF_ENDPOINT, HTTPS_PROXY"),
    ({"Env": ["HF_TOKEN=x"]}, "Env 'HF_TOKEN' is not allowed"),
    ({"Env": ["hf_endpoint=https://mirror.example.org"]}, "Env 'hf_endpoint' is not allowed"),
    ({"Env": ["HF_ENDPOINT=http://elsewhere"]}, "Env HF_ENDPOINT is not what the guard was told"),
    ({"Env": ["HTTPS_PROXY=http://elsewhere"]}, "Env HTTPS_PROXY is not what the guard was told"),
    ({"Env": ["HF_ENDPOINT"]}, "Env 'HF_ENDPOINT' is not allowed"),
    ({"Env": {"HF_ENDPOINT": "x"}}, "Env must be a list"),
    ({"Env": [["HF_ENDPOINT"]]}, "Env must be a list of strings"),
    ({"Entrypoint": ["sh"]}, "Entrypoint is not allowed"),
    ({"Hostname": "postgres"}, "Hostname is not allowed"),
    ({"hostconfig": {"Privileged": True}}, "hostconfig is not allowed"),
    ({"NetworkingConfig": {"EndpointsConfig": {"x": {}}}}, "NetworkingConfig is not allowed"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_whatever_is_not_on_the_allow_list_is_refused_by_name(
    changes: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(Refused) as refused:
        POLICY.create_body(body(**changes))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "command",
    [
        "sh -c x",
        [],
        ["sh", "-c", "x"],
        ["training", "--help"],
        ["training", "prepare", REQUEST],
        ["training", "train"],
        ["training", "train", REQUEST, "--data-url=s3://elsewhere"],
        ["training", "train", "/etc/request.json"],
        ["training", "train", "/var/lib/ghostwriter"],
        ["training", "train", "/var/lib/ghostwriter/../request.json"],
        ["training", "train", "/var/lib/ghostwriter/runs//request.json"],
        ["training", "train", "/var/lib/ghostwriter/runs/-x/request.json"],
        ["training", "train", "/var/lib/ghostwriter/runs/1/request.json\n"],
        ["training", "train", "/var/lib/ghostwriter/runs/1/other.json"],
        ["training", "train", f"/var/lib/ghostwriter/{'x' * 1000}/request.json"],
        ["training", ["train"], REQUEST],
    ],
)
def test_only_a_stage_on_a_request_below_the_home_volume_may_run(command: Any) -> None:
    with pytest.raises(Refused, match="Cmd"):
        POLICY.create_body(body(Cmd=command))


def test_the_environment_is_the_guards_own_values_for_the_names_that_are_asked_for() -> None:
    asked = ["NO_PROXY=mlflow,localhost", "HF_ENDPOINT=https://mirror.example.org"]
    built = POLICY.create_body(body(Env=[*asked, asked[0]]))
    assert built["Env"] == ["HF_ENDPOINT=https://mirror.example.org", "NO_PROXY=mlflow,localhost"]


def test_guard_and_training_side_know_the_same_names_and_forms() -> None:
    assert network.FORMS == training.network.FORMS


@pytest.mark.parametrize("stage", ["train", "evaluate", "measure", "examine"])
def test_every_stage_may_run(stage: str) -> None:
    command = ["training", stage, REQUEST.replace("request", "evaluation-0a/request")]
    assert POLICY.create_body(body(Cmd=command))["Cmd"] == command


def test_a_container_has_one_name_which_is_made_from_its_request() -> None:
    assert POLICY.container_name(POLICY.create_body(body())) == NAME
    evaluate = POLICY.create_body(body(Cmd=["training", "evaluate", REQUEST]))
    assert POLICY.container_name(evaluate) == NAME.replace("train", "evaluate")


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"ghostwriter.stage": "train"},
        {**LABELS, "ghostwriter.map": "first"},
        {**LABELS, "ghostwriter.run": "r\nForged line"},
        {**LABELS, "ghostwriter.run": "r" * 501},
        {**LABELS, "ghostwriter.dag": None},
        {**LABELS, "ghostwriter.dag": ["d"]},
        {**LABELS, "ghostwriter.guard": "other"},
        {**LABELS, "com.docker.compose.project": "gw"},
        ["ghostwriter.stage"],
    ],
)
def test_labels_are_the_five_that_maintenance_reads(labels: Any) -> None:
    with pytest.raises(Refused, match="label"):
        POLICY.create_body(body(Labels=labels))


ALL_GPUS = [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": GPU}]


def test_a_container_gets_the_gpus_of_the_guards_setting() -> None:
    policy = replace(POLICY, gpus=-1)
    made = policy.create_body(body(host={"DeviceRequests": ALL_GPUS}))
    assert made["HostConfig"]["DeviceRequests"] == ALL_GPUS


def test_measuring_gets_no_gpu() -> None:
    policy, command = replace(POLICY, gpus=-1), ["training", "measure", REQUEST]
    made = policy.create_body(body(Cmd=command))
    assert made["HostConfig"]["DeviceRequests"] == []
    with pytest.raises(Refused, match="the guard gives: 0 GPUs"):
        policy.create_body(body(Cmd=command, host={"DeviceRequests": ALL_GPUS}))


ONE_GPU, FIRST_GPU = {**ALL_GPUS[0], "Count": 1}, {**ALL_GPUS[0], "DeviceIDs": ["0"]}


@pytest.mark.parametrize("asked", [[], ALL_GPUS * 2, [ONE_GPU], [FIRST_GPU]])
def test_other_gpus_than_the_guards_setting_are_refused(asked: list[Any]) -> None:
    with pytest.raises(Refused, match="DeviceRequests"):
        replace(POLICY, gpus=-1).create_body(body(host={"DeviceRequests": asked}))


def test_the_volume_with_the_login_is_read_only_whatever_is_asked() -> None:
    login = {"Type": "volume", "Source": "gw_netrc", "Target": "/run/ghostwriter"}
    made = POLICY.create_body(body(host={"Mounts": [{**login, "ReadOnly": False}]}))
    assert made["HostConfig"]["Mounts"] == [{**login, "ReadOnly": True}]


def test_memory_is_read_as_compose_writes_it() -> None:
    assert [parse_memory(text) for text in ("16g", "512M", "1024")] == [2**34, 2**29, 1024]
    with pytest.raises(SettingsError, match="'lots' is no amount of memory"):
        parse_memory("lots")


SETTINGS = {
    "GUARD_PROJECT": "gw",
    "GUARD_IMAGES": "ghostwriter-training",
    "GUARD_VOLUMES": "gw_home:/var/lib/ghostwriter,gw_netrc:/run/ghostwriter:ro",
    "GUARD_NETWORK": "gw_training",
    "GUARD_MEMORY": "1g",
}


def settings(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Policy:
    for name, value in {**SETTINGS, **changes}.items():
        monkeypatch.setenv(name, value)
    return Policy.from_environment()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in POLICY.network_settings.items():
        monkeypatch.setenv(name, value)
    assert settings(monkeypatch) == replace(POLICY, total_memory=2**31, containers=16)
    changes = {"GUARD_TOTAL_MEMORY": "1g", "GUARD_CONTAINERS": "3", "GUARD_GPUS": "all"}
    assert settings(monkeypatch, **changes) == replace(POLICY, gpus=-1)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GUARD_TOTAL_MEMORY", "1m", "GUARD_TOTAL_MEMORY is less than GUARD_MEMORY"),
        ("GUARD_CONTAINERS", "many", "GUARD_CONTAINERS is 'many'. Set it to a whole number."),
        ("GUARD_GPUS", "two", "GUARD_GPUS is 'two'. Set it to a whole number."),
        ("GUARD_VOLUMES", "a:/a,b:/b", "all but the home volume must end in :ro"),
        ("HTTPS_PROXY", "http://me:word@proxy:3128", "HTTPS_PROXY is no address without a login"),
        ("HF_ENDPOINT", "file:///etc", "HF_ENDPOINT is no address without a login"),
        ("NO_PROXY", "a\nb", "NO_PROXY is no address without a login"),
    ],
)
def test_a_wrong_setting_is_said(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    words: str,
) -> None:
    with pytest.raises(SettingsError, match=words):
        settings(monkeypatch, **{name: value})
