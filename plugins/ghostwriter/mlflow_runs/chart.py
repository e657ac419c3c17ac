"""A measure over the nights as an SVG: candidates as dots with their intervals, the champion as a line in its band. No script needed."""

from collections.abc import Sequence

from markupsafe import Markup

from ghostwriter.judging.measure_names import measure_name
from ghostwriter.mlflow_runs.history import CandidateNight, Figure, champions

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 210, 56, 12, 14, 32
Point = tuple[float, float]


def chart(nights: Sequence[CandidateNight], measure: str) -> Markup:
    """The picture; empty when no night has the measure."""
    shown = [night for night in nights if measure in night.figures]
    if not shown:
        return Markup("")
    line = champions(shown, measure)
    scale = Scale([night.figures[measure] for night in shown] + [figure for figure in line if figure], len(shown))
    parts = [
        *_axis(scale),
        *_dates(shown, scale),
        *_champion(line, scale),
        *(_candidate(night, night.figures[measure], scale, place) for place, night in enumerate(shown)),
    ]
    label = Markup.escape(f"{measure_name(measure)}, {len(shown)} nights")
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>')


class Scale:
    """Where a night and a figure stand in the picture."""

    def __init__(self, figures: Sequence[Figure], nights: int) -> None:
        low, high = min(figure.low for figure in figures), max(figure.high for figure in figures)
        room = max(0.05 * (high - low), 0.01)
        self.low, self.high = low - room, high + room
        self._step = (WIDTH - LEFT - RIGHT) / nights

    def across(self, place: int) -> float:
        """The middle of a night's share of the width."""
        return round(LEFT + (place + 0.5) * self._step, 1)

    def down(self, value: float) -> float:
        """The height of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def _axis(scale: Scale) -> list[str]:
    parts = []
    for share in (0.0, 0.5, 1.0):
        value = scale.low + share * (scale.high - scale.low)
        height = scale.down(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{height + 4}" text-anchor="end">{value:.2f}</text>')
    return parts


def _dates(nights: Sequence[CandidateNight], scale: Scale) -> list[str]:
    places = sorted({0, len(nights) - 1})
    anchors = {0: "start", len(nights) - 1: "end"} if len(places) > 1 else {0: "middle"}
    return [
        f'<text x="{scale.across(place)}" y="{HEIGHT - 8}" text-anchor="{anchors[place]}">{nights[place].when:%m-%d}</text>'
        for place in places
    ]


def _champion(line: Sequence[Figure | None], scale: Scale) -> list[str]:
    known = [(place, figure) for place, figure in enumerate(line) if figure]
    if not known:
        return []
    upper = [(scale.across(place), scale.down(figure.high)) for place, figure in known]
    lower = [(scale.across(place), scale.down(figure.low)) for place, figure in reversed(known)]
    middle = [(scale.across(place), scale.down(figure.value)) for place, figure in known]
    return [f'<polygon class="band" points="{_points([*upper, *lower])}"/>', f'<polyline class="champion" points="{_points(middle)}"/>']


def _candidate(night: CandidateNight, figure: Figure, scale: Scale, place: int) -> str:
    across = scale.across(place)
    kind = "promoted" if night.version else "refused"
    words = f"{night.when:%Y-%m-%d}: {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}), "
    words += f"became version {night.version}" if night.version else "not promoted"
    return (
        f'<g class="{kind}"><title>{Markup.escape(words)}</title>'
        f'<line x1="{across}" x2="{across}" y1="{scale.down(figure.low)}" y2="{scale.down(figure.high)}"/>'
        f'<circle cx="{across}" cy="{scale.down(figure.value)}" r="4"/></g>'
    )


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{across},{down}" for across, down in points)
