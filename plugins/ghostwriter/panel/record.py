"""What readers said, where an arm's other figures are: its runs in MLflow, its version, and the evaluation's report."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ghostwriter.judging.promote import model_name
from ghostwriter.mlflow_runs.links import REPORT_FILE
from ghostwriter.mlflow_runs.pipeline_run import log_at_once
from ghostwriter.panel.figures import PanelResult
from ghostwriter.panel.key import Key, Origin
from ghostwriter.panel.summary import headline, summary_markdown

if TYPE_CHECKING:
    from mlflow import MlflowClient

TURING = "turing_share"
PANEL_TAG = "ghostwriter.panel"
SUMMARY_FILE, FIGURES_FILE = "panel.md", "panel.json"
_DATA = re.compile(r'(<script type="application/json" id="data">)(.*?)(</script>)', re.DOTALL)


def evaluations_of(key: Key) -> list[str]:
    """The MLflow runs of the evaluations that the arms come from."""
    return list(dict.fromkeys(origin.evaluation for origin in key.arms.values()))


def record(client: "MlflowClient", key: Key, result: PanelResult, evaluations: Sequence[str]) -> None:
    """Tell these evaluations' runs, their arms' and the versions. Reading again overwrites. No reader is named there."""
    figures = result.model_dump(mode="json", exclude={"readers"}) | {"believed": result.believed, "readers": len(result.readers)}
    for run_id in evaluations:
        log_at_once(client, run_id, metrics=_whole(result))
        client.log_text(run_id, summary_markdown(result, names=False), SUMMARY_FILE)
        client.log_dict(run_id, figures, FIGURES_FILE)
        _show_in_report(client, run_id, figures)
    for arm, origin in key.arms.items():
        if arm in result.turing and origin.evaluation in evaluations:
            _record_arm(client, key, arm, origin, result)


def _whole(result: PanelResult) -> dict[str, float]:
    alpha = {f"panel/alpha_{asked}": value for asked, value in result.alpha.items()}
    return {"panel/readers": result.believed, "panel/flagged": len(result.readers) - result.believed, **alpha}


def _record_arm(client: "MlflowClient", key: Key, arm: str, origin: Origin, result: PanelResult) -> None:
    share = result.turing[arm].share
    metrics = {TURING: share.value, f"{TURING}/low": share.low, f"{TURING}/high": share.high}
    metrics |= {f"panel/{asked}": found[arm].value for asked, found in result.strengths.items() if arm in found}
    query = f"tags.`mlflow.parentRunId` = '{origin.evaluation}' and attributes.run_name = '{origin.arm}'"
    for run in client.search_runs([origin.experiment], query):
        log_at_once(client, run.info.run_id, metrics=metrics)
    if origin.version:
        client.set_model_version_tag(model_name(key.writer), origin.version, PANEL_TAG, headline(result, arm))


def _show_in_report(client: "MlflowClient", run_id: str, figures: dict[str, Any]) -> None:
    """Put the figures into the report's data; one that was removed since, or is no report, is left alone."""
    if not any(item.path == REPORT_FILE for item in client.list_artifacts(run_id)):
        return
    with TemporaryDirectory() as folder:
        page = Path(client.download_artifacts(run_id, REPORT_FILE, folder))
        text = page.read_text(encoding="utf-8")
        if (found := _DATA.search(text)) is None:
            return
        data = json.loads(found[2]) | {"panel": figures}
        embedded = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
        page.write_text(text[: found.start(2)] + embedded + text[found.end(2) :], encoding="utf-8")
        client.log_artifact(run_id, str(page))
