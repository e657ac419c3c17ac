"""`panel` by hand: from an evaluation in a real MLflow to a page, and from readers' files back into MLflow and the report."""

import json
import re
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ghostwriter.__main__ import main
from ghostwriter.home import ROOT, Home
from ghostwriter.judging.promote import ADAPTER_FILE, promote
from ghostwriter.panel.key import Key, find_key
from ghostwriter.snapshot import write_snapshot
from ghostwriter.writer import Writer
from tests.panel_case import answer_file, coin, known, mostly, perfect, rows
from tests.training.tracking.mlflow_server import free_port

STEM = "laocheng"
REPORT = {"scores": {}, "samples": [{"question": "</script>"}], "panel": None}
QUESTIONS = 24


@pytest.fixture(scope="module")
def evaluated(mlflow_address: str) -> str:
    """An evaluation of three arms in laocheng's experiment; returns its run."""
    client = MlflowClient(mlflow_address)
    experiment = client.create_experiment(STEM)
    parent = client.create_run(experiment, tags={"ghostwriter.kind": "candidate"}).info.run_id
    below = {"mlflow.parentRunId": parent, "ghostwriter.kind": "evaluate"}
    evaluation = client.create_run(experiment, tags=below, run_name="evaluate").info.run_id
    client.create_run(experiment, tags={"ghostwriter.kind": "evaluate"}, run_name="evaluate")  # a newer one, without samples
    for arm in ("base", "direct", "mixed"):
        client.create_run(experiment, tags={"mlflow.parentRunId": evaluation}, run_name=arm)
    answers = rows(QUESTIONS, "zh")
    columns = list(answers[0])
    client.log_dict(evaluation, {"columns": columns, "data": [[row[name] for name in columns] for row in answers]}, "samples.json")
    page = (ROOT / "training" / "measure" / "report_page.html").read_text(encoding="utf-8")
    client.log_text(evaluation, page.replace("__DATA__", json.dumps(REPORT).replace("<", "\\u003c")), "report.html")
    return evaluation


@pytest.fixture
def installed(home: Home, writers: Path, evaluated: str, mlflow_address: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a dataset, and that MLflow."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_address)
    monkeypatch.setenv("GHOSTWRITER_HOME", str(home.path))
    texts = [*known(language="zh"), rows(QUESTIONS, "zh")[0]["writer"]]  # the last one is asked about
    pairs = [
        {"id": str(place), "messages": [{"role": "user", "content": f"别的问题 {place}"}, {"role": "assistant", "content": text}]}
        for place, text in enumerate(texts)
    ]
    write_snapshot(home.datasets(STEM), "dataset", STEM, {"direct.jsonl": pairs})
    return home


def written(home: Home) -> tuple[Path, Key]:
    (page,) = home.panels(STEM).glob("*/panel.html")
    return page, find_key(home, STEM, page.parent.name)


def saved(folder: Path, key: Key) -> list[str]:
    """The files of two good readers and of one who throws a coin."""
    readers = {"甲一": mostly(perfect, coin(1), 0.9, 1), "乙二": mostly(perfect, coin(2), 0.9, 2), "丙三": coin(5)}
    paths = []
    for name, choice in readers.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(answer_file(key, name, choice).model_dump_json(), encoding="utf-8")
    return [str(path) for path in paths]


def arm_run(client: MlflowClient, evaluation: str, arm: str) -> Run:
    experiment = client.get_run(evaluation).info.experiment_id
    (run,) = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{evaluation}' and attributes.run_name = '{arm}'")
    return run


def test_the_newest_evaluation_with_samples_becomes_a_page(installed: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["panel", STEM]) == 0
    page, _ = written(installed)
    told = capsys.readouterr().out
    assert f"{page}: 30 rounds on direct, mixed." in told
    assert f"python -m ghostwriter panel {STEM} --read FILE ..." in told
    text = page.read_text(encoding="utf-8")
    assert 'lang="zh-CN"' in text and '"name": "Lao Cheng"' in text
    shown = json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])["trials"]
    assert {trial["known"] for trial in shown} <= set(known(language="zh"))


def test_what_readers_found_goes_into_mlflow_and_the_report(
    installed: Home, evaluated: str, mlflow_address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["panel", STEM]) == 0
    _, key = written(installed)
    assert main(["panel", STEM, "--read", *saved(tmp_path, key)]) == 0
    told = capsys.readouterr().out
    assert "2 of 3 readers count" in told and re.search(r"\| 丙三 \| 30 of 30 \| \d of 3 \| \d+ % \| no: took the untrained base", told)
    client = MlflowClient(mlflow_address)
    metrics = client.get_run(evaluated).data.metrics
    assert (metrics["panel/readers"], metrics["panel/flagged"]) == (2, 1) and metrics["panel/alpha_voice"] > 0.2
    mixed = arm_run(client, evaluated, "mixed").data.metrics
    assert mixed["turing_share/low"] <= mixed["turing_share"] <= mixed["turing_share/high"] < 0.5
    assert mixed["panel/voice"] > arm_run(client, evaluated, "direct").data.metrics["panel/voice"]
    kept = Path(client.download_artifacts(evaluated, "panel.json", str(tmp_path))).read_text(encoding="utf-8")
    words = Path(client.download_artifacts(evaluated, "panel.md", str(tmp_path))).read_text(encoding="utf-8")
    assert not [name for name in ("甲一", "乙二", "丙三") if name in kept + words]
    report = Path(client.download_artifacts(evaluated, "report.html", str(tmp_path))).read_text(encoding="utf-8")
    data = json.loads(re.findall(r'id="data">(.*?)</script>', report, re.DOTALL)[0])
    assert data == REPORT | {"panel": json.loads(kept)}


def test_versions_are_compared_on_the_questions_they_share(
    installed: Home, evaluated: str, mlflow_address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = MlflowClient(mlflow_address)
    numbers = [_version(client, installed, evaluated, arm, tmp_path / arm) for arm in ("direct", "mixed")]
    assert main(["panel", STEM, "--versions", *numbers, "--trials", "20"]) == 0
    _, key = written(installed)
    assert {arm: (origin.arm, origin.version) for arm, origin in key.arms.items()} == {
        "base": ("base", None),
        f"v{numbers[0]}": ("direct", numbers[0]),
        f"v{numbers[1]}": ("mixed", numbers[1]),
    }
    order = ("writer", f"v{numbers[1]}", f"v{numbers[0]}", "base")
    path = tmp_path / "ann.json"
    path.write_text(answer_file(key, "Ann", lambda trial: min((trial.a, trial.b), key=order.index)).model_dump_json())
    assert main(["panel", STEM, "--read", str(path)]) == 0
    tag = client.get_model_version(f"ghostwriter-{STEM}", numbers[1]).tags["ghostwriter.panel"]
    assert tag.startswith("0 % [0 %, ") and tag.endswith(f"(panel {key.panel})")
    assert main(["panel", STEM, "--versions", "99"]) == 1
    assert f"{STEM} has no version 99; there are: {', '.join(numbers)}." in capsys.readouterr().err


def test_without_mlflow_the_figures_are_kept_and_the_next_reading_tells_it(
    installed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["panel", STEM]) == 0
    page, key = written(installed)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    assert main(["panel", STEM, "--read", *saved(tmp_path, key)]) == 1
    told = capsys.readouterr()
    assert "2 of 3 readers count" in told.out
    assert f"cannot be reached (ConnectionError). The figures are kept in {page.parent}; run this again" in told.err
    assert json.loads((page.parent / "result.json").read_text(encoding="utf-8"))["panel"] == key.panel


def test_an_arm_that_is_not_there_is_named_with_those_that_are(installed: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["panel", STEM, "--arms", "inverse"]) == 1
    assert capsys.readouterr().err == "panel: There is no arm 'inverse'; there are: base, direct, mixed.\n"
    assert not installed.panels(STEM).exists()


def test_without_an_evaluation_or_a_dataset_it_is_said_what_to_do(
    installed: Home, writers: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (writers / "nobody.toml").write_text((writers / f"{STEM}.toml").read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["panel", "nobody"]) == 1
    assert "MLflow has no evaluation of nobody with its samples" in capsys.readouterr().err
    assert main(["panel", STEM, "--home", str(tmp_path / "empty")]) == 1
    assert "holds no dataset" in capsys.readouterr().err


def _version(client: MlflowClient, home: Home, evaluation: str, arm: str, adapter: Path) -> str:
    """An adapter that was examined as `arm` becomes a version."""
    run = client.get_run(evaluation)
    parent = run.data.tags["mlflow.parentRunId"]
    training = client.create_run(run.info.experiment_id, tags={"mlflow.parentRunId": parent}).info.run_id
    client.log_param(training, "arm", arm)
    adapter.mkdir()
    (adapter / ADAPTER_FILE).write_text(arm)
    client.log_artifacts(training, str(adapter), "adapter")
    writer = Writer.model_validate(
        {
            "stem": STEM,
            "name": "x",
            "language": "zh",
            "source": {"kind": "jsonl", "account": "x"},
            "teacher": {"connection": "x", "model": "x"},
        }
    )
    champions = client.search_model_versions(f"name = 'ghostwriter-{STEM}'")
    before = max((str(version.version) for version in champions), key=int, default=None)
    return promote(
        client, home, writer, training, adapter, {"pipeline_run": parent}, champion=before, who="night", why="better", numbers={}
    )
