"""Whether readers agree: Krippendorff's alpha, 1 for always and 0 for no more than by chance.

Attention checks are left out: on them everybody agrees. Voice is nominal, quality an interval scale with "equal" in the middle. From
evalica (Apache-2.0), since the package `krippendorff` is under the GPL, which a program under the Apache licence cannot bring along.
"""

from collections.abc import Sequence
from typing import Literal

import evalica
import pandas as pd

from ghostwriter.panel.ballot import Ballot

Asked = Literal["voice", "quality"]
MIN_ALPHA = 0.2
"""Below, readers do not agree, and what they say together is no ranking."""


def agreement(ballots: Sequence[Ballot], asked: Asked) -> float | None:
    """Alpha; None where no trial was judged by two readers."""
    judged = [ballot for ballot in ballots if ballot.kind != "check"]
    said = [(each.reader, each.trial, float(getattr(each, asked))) for each in judged]
    table = pd.DataFrame(said, columns=["reader", "trial", "said"]).pivot(index="reader", columns="trial", values="said")
    if table.empty or not (table.notna().sum() > 1).any():
        return None
    return float(evalica.alpha(table, "nominal" if asked == "voice" else "interval").alpha)
