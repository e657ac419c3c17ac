"""deploy/: what the cluster's API server would refuse, what its schema does not know, and names that must agree."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ghostwriter.home import ROOT

Json = dict[str, Any]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.37"
NAMESPACE = "ghostwriter"
CLUSTER_WIDE = {"Namespace", "PriorityClass"}
QUANTITY = re.compile(r"[1-9]\d*(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
ACCESS_MODES = {"ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"}
VERBS = {"create", "get", "list", "watch", "patch", "delete"}
SECRET_FILES = {
    "ghostwriter-airflow": {"pgpass", "airflow_passwords.json", "fernet_key", "api_secret_key", "jwt_secret", "mlflow_netrc", "broker_url"},
    "ghostwriter-mlflow": {"pgpass", "mlflow_auth.ini"},
    "ghostwriter-mlflow-admin": {"mlflow_admin_netrc"},
    "ghostwriter-mlflow-netrc": {"netrc"},
    "ghostwriter-s3": {"credentials"},
}
"""Each Secret that the README has made, and its files."""


def read(name: str) -> list[Json]:
    """The documents of a file, as the YAML readers of Kubernetes' tools take them."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


RESOURCES = [(name, manifest) for name in read("kustomization.yaml")[0]["resources"] for manifest in read(name)]
BY_HAND = [(name, manifest) for name in ("gpu-check.yaml", "serving.yaml") for manifest in read(name)]
"""Applied by a person who wants it."""
AIRFLOW: Json = read("airflow-values.yaml")[0]
ENVIRONMENT = {each["name"]: each["value"] for each in AIRFLOW["env"]}
FAB: Json = read("airflow-fab-values.yaml")[0]


def of_kind(kind: str) -> dict[str, Json]:
    return {manifest["metadata"]["name"]: manifest for _, manifest in RESOURCES if manifest["kind"] == kind}


def walk(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Every key and what stands under it, at any depth."""
    children = value.items() if isinstance(value, dict) else [(name, one) for one in value] if isinstance(value, list) else []
    return [pair for key, child in children for pair in ((key, child), *walk(child, key))]


@pytest.mark.parametrize(("file", "manifest"), [*RESOURCES, *BY_HAND], ids=lambda part: part if isinstance(part, str) else part["kind"])
def test_a_manifest_is_what_the_schema_says(file: str, manifest: Json) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_every_file_is_applied_or_for_helm() -> None:
    applied = {"kustomization.yaml", *(name for name, _ in [*RESOURCES, *BY_HAND])}
    assert {path.name for path in DEPLOY.glob("*.yaml")} - applied == {
        "airflow-values.yaml",
        "airflow-celery-values.yaml",
        "airflow-fab-values.yaml",
    }


def test_quantities_are_quantities() -> None:
    """The schema takes any text."""
    groups = ("requests", "limits", "hard", "default", "defaultRequest")
    everything = walk([*(manifest for _, manifest in RESOURCES), AIRFLOW])
    amounts = [value for key, value in everything if key in groups and isinstance(value, dict) and "type" not in value]
    written = [*(str(one) for amount in amounts for one in amount.values()), *(value for key, value in everything if key == "sizeLimit")]
    assert len(written) > 12
    assert [one for one in written if not QUANTITY.fullmatch(one)] == []


def test_words_of_a_fixed_choice_are_in_it() -> None:
    """The schema takes any text here too."""
    everything = walk([manifest for _, manifest in RESOURCES])
    assert {value for key, value in everything if key == "protocol"} == {"UDP", "TCP"}
    assert of_kind("PriorityClass")["ghostwriter-training"]["preemptionPolicy"] == "Never"
    assert {mode for claim in of_kind("PersistentVolumeClaim").values() for mode in claim["spec"]["accessModes"]} <= ACCESS_MODES
    assert {kind for policy in of_kind("NetworkPolicy").values() for kind in policy["spec"]["policyTypes"]} == {"Ingress", "Egress"}
    assert {verb for role in of_kind("Role").values() for rule in role["rules"] for verb in rule["verbs"]} <= VERBS
    assert {deployment["spec"]["strategy"]["type"] for deployment in of_kind("Deployment").values()} == {"Recreate"}


def test_names_agree_with_the_launcher() -> None:
    assert of_kind("Namespace").keys() == {NAMESPACE, read("kustomization.yaml")[0]["namespace"]}
    assert ENVIRONMENT["GHOSTWRITER_LAUNCHER"] == "kubernetes"
    assert ENVIRONMENT["GHOSTWRITER_K8S_NAMESPACE"] == NAMESPACE
    assert ENVIRONMENT["GHOSTWRITER_K8S_SERVICE_ACCOUNT"] in of_kind("ServiceAccount")
    assert ENVIRONMENT["GHOSTWRITER_K8S_PRIORITY_CLASS"] in of_kind("PriorityClass")
    assert ENVIRONMENT["GHOSTWRITER_DATA_CLAIM"] in of_kind("PersistentVolumeClaim")
    assert ENVIRONMENT["GHOSTWRITER_NETRC_SECRET"] in SECRET_FILES
    address = ENVIRONMENT["MLFLOW_TRACKING_URI"].removeprefix("http://").split(":")
    assert of_kind("Service")[address[0]]["spec"]["ports"][0]["port"] == int(address[1])


def test_every_volume_names_a_claim_or_secret_that_is_there() -> None:
    everything = walk([*(manifest for _, manifest in RESOURCES), AIRFLOW])
    assert {value for key, value in everything if key == "claimName"} <= of_kind("PersistentVolumeClaim").keys()
    assert {value for key, value in everything if key == "secretName"} <= SECRET_FILES.keys()


def test_the_readme_makes_every_secret_with_every_file() -> None:
    commands = (DEPLOY / "README.md").read_text().replace("\\\n", " ")
    made = {
        name: set(re.findall(r"--from-file=(?:([\w.]+)=)?secrets/([\w.]+)", rest))
        for name, rest in re.findall(r"create secret generic ([\w-]+) (.*)", commands)
    }
    assert {name: {key or file for key, file in files} for name, files in made.items()} == SECRET_FILES
    mounted = {mount["subPath"] for mount in AIRFLOW["volumeMounts"] if mount["name"] == "ghostwriter-secrets"}
    assert mounted == SECRET_FILES["ghostwriter-airflow"]


def test_no_secret_stands_in_the_environment() -> None:
    assert set(AIRFLOW["enableBuiltInSecretEnvVars"].values()) == {False}
    variables = [
        *AIRFLOW["env"],
        *who_logs_in(AIRFLOW),
        *who_logs_in(FAB),
        *of_kind("Deployment")["ghostwriter-mlflow"]["spec"]["template"]["spec"]["containers"][0]["env"],
    ]
    assert [each["name"] for each in variables if "valueFrom" in each or re.search(r"://[^/]*:[^/]*@", each["value"])] == []


def who_logs_in(values: Json) -> list[Json]:
    """`extraEnv`, which the chart takes as a text: of several files the last one's counts, whole."""
    assert isinstance(values["extraEnv"], str)
    assert "{{" not in values["extraEnv"], "the chart reads it as a template"
    entries: list[Json] = yaml.safe_load(values["extraEnv"])
    return entries


def test_the_auth_manager_is_chosen_once_and_its_package_is_pinned() -> None:
    """A variable in `env` too would win over or against the one of the file on top, by the chart's order."""
    assert not any("AUTH_MANAGER" in name for name in ENVIRONMENT)
    simple, fab = ({each["name"]: each["value"] for each in who_logs_in(values)} for values in (AIRFLOW, FAB))
    assert simple["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".SimpleAuthManager")
    assert fab == {"AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"}
    assert FAB.keys() == {"extraEnv"}


@pytest.mark.parametrize(("extra", "provider"), [("fab", "fab"), ("s3-logs", "amazon")])
def test_what_an_extra_installs_without_dependencies_clashes_with_nothing(extra: str, provider: str) -> None:
    below, on_top = (pins(name) for name in ("airflow", extra))
    assert f"apache-airflow-providers-{provider}" in on_top
    assert not below.keys() & on_top.keys(), "it would replace what Airflow was locked with"
    dockerfile = (ROOT / "docker" / "airflow.Dockerfile").read_text()
    assert f"requirements/{extra}.txt" in dockerfile


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(): line for line in lines if "==" in line}


def test_airflow_may_do_what_the_launcher_does_and_no_more() -> None:
    rules = {resource: set(rule["verbs"]) for rule in of_kind("Role")["ghostwriter-launcher"]["rules"] for resource in rule["resources"]}
    assert rules == {
        "pods": {"create", "get", "list", "patch", "delete"},
        "pods/log": {"get"},
        "events": {"list", "watch"},
        "jobs": {"create", "get", "list", "patch", "delete"},
        "jobs/status": {"get"},
    }
    bound = {one["roleRef"]["name"]: [subject["name"] for subject in one["subjects"]] for one in of_kind("RoleBinding").values()}
    assert bound == {"ghostwriter-launcher": ["ghostwriter-airflow"], "ghostwriter-executor": ["ghostwriter-scheduler"]}
    assert AIRFLOW["rbac"] == {"create": False}
    accounts = {part: AIRFLOW[part]["serviceAccount"]["name"] for part in ("scheduler", "triggerer")}
    assert accounts == {"scheduler": "ghostwriter-scheduler", "triggerer": "ghostwriter-airflow"}
    assert AIRFLOW["workers"]["kubernetes"]["serviceAccount"] == {"create": False, "name": "ghostwriter-airflow"}
    for name in ("ghostwriter-training", "ghostwriter-mlflow"):
        assert of_kind("ServiceAccount")[name]["automountServiceAccountToken"] is False


def test_what_runs_satisfies_the_restricted_standard() -> None:
    """What the API server's admission asks of every pod in this namespace."""
    labels = of_kind("Namespace")[NAMESPACE]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    mlflow = of_kind("Deployment")["ghostwriter-mlflow"]["spec"]["template"]["spec"]
    contexts = [
        (mlflow["securityContext"], mlflow["containers"][0]["securityContext"]),
        (AIRFLOW["securityContexts"]["pod"], AIRFLOW["securityContexts"]["containers"]),
    ]
    for pod, container in contexts:
        assert (pod["runAsNonRoot"], pod["runAsUser"], pod["seccompProfile"]) == (True, 10001, {"type": "RuntimeDefault"})
        assert container == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def test_training_reaches_no_private_network_and_no_metadata_service() -> None:
    policy = of_kind("NetworkPolicy")["ghostwriter-training"]["spec"]
    assert policy["podSelector"] == {"matchExpressions": [{"key": "ghostwriter.stage", "operator": "Exists"}]}
    (block,) = [peer["ipBlock"] for rule in policy["egress"] for peer in rule["to"] if "ipBlock" in peer]
    closed = [ipaddress.ip_network(network) for network in block["except"]]
    for address in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"):
        assert any(ipaddress.ip_address(address) in network for network in closed)
    assert all("ports" in rule or "ipBlock" not in rule["to"][0] for rule in policy["egress"])


def test_helm_is_told_the_chart_that_the_readme_names() -> None:
    texts = [(DEPLOY / name).read_text() for name in ("README.md", "airflow-values.yaml")]
    versions = {version for text in texts for version in re.findall(r"--version (\S+)", text)}
    assert versions == {"1.22.0"}
    assert AIRFLOW["airflowVersion"] == pinned("apache-airflow")


def pinned(package: str) -> str:
    return re.findall(rf"^{package}==(\S+)", Path(ROOT / "requirements" / "airflow.in").read_text(), re.MULTILINE)[0]
