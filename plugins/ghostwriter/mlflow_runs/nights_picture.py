"""Style and loss of the newest nights as one picture in MLflow, beside the candidate it ends with: what the page in Airflow draws, too."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from ghostwriter.judging.measure_names import measure_name
from ghostwriter.mlflow_runs.chart import HEIGHT, WIDTH, chart
from ghostwriter.mlflow_runs.history import MEASURES, CandidateNight, client_history

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "nights.svg"
CAPTION, LEGEND = 26, 40
STYLE = """
text { fill: #626b77; font: 12px system-ui, sans-serif; } .caption { fill: #1d2127; font-size: 14px; } .grid { stroke: #dcdad4; }
.band { fill: #1c7a3f; opacity: .14; } .champion { fill: none; stroke: #1c7a3f; stroke-width: 2; }
.promoted line { stroke: #1c7a3f; stroke-width: 2; } .promoted circle { fill: #1c7a3f; }
.refused line { stroke: #626b77; stroke-width: 2; } .refused circle { fill: #fff; stroke: #626b77; stroke-width: 2; }
"""
KEY = (
    "Filled: a candidate that became the champion. Hollow: one that did not. The bar is its 95 % interval.",
    "The line is the champion, as it was scored when it became that.",
)


def log_nights(client: "MlflowClient", run_id: str) -> str:
    """Draw the nights so far into a candidate's run; returns a line of Markdown that shows them, empty while there are no figures."""
    drawn = picture(client_history(client, client.get_run(run_id).info.experiment_id))
    if not drawn:
        return ""
    client.log_text(run_id, drawn, FILE)
    return f"![Night by night](get-artifact?path={FILE}&run_uuid={run_id})"  # relative: MLflow serves it below its own address


def show_nights(client: "MlflowClient", run_id: str, model: str, version: str) -> None:
    """Draw them again after a promotion, and show them in the description of the version that the candidate became."""
    shown, description = log_nights(client, run_id), client.get_model_version(model, version).description or ""
    if shown not in description:
        client.update_model_version(model, version, f"{description}\n\n{shown}")


def picture(nights: Sequence[CandidateNight]) -> str:
    """An SVG file; empty when no night has a figure."""
    drawn = [(measure_name(measure), plot) for measure in MEASURES if (plot := chart(nights, measure))]
    if not drawn:
        return ""
    each = HEIGHT + CAPTION
    height = len(drawn) * each + LEGEND
    parts = [_placed(words, plot, place * each) for place, (words, plot) in enumerate(drawn)]
    key = [f'<text x="8" y="{height - LEGEND + 16 * line + 12}">{Markup.escape(words)}</text>' for line, words in enumerate(KEY)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join([*parts, *key])}</svg>\n'
    )


def _placed(words: str, plot: Markup, down: int) -> str:
    caption = f'<text class="caption" x="8" y="{down + CAPTION - 8}">{Markup.escape(words)}</text>'
    return f'{caption}<svg y="{down + CAPTION}" width="{WIDTH}" height="{HEIGHT}">{plot}</svg>'
