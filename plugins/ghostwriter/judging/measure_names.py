"""The measures of an evaluation in words, for people: the page, the demo's table. training.measure.measures says what each one is."""

MEASURE_NAMES: dict[str, str] = {
    "heldout_loss": "surprise at the writer's real answers (loss, nats per token; lower is better)",
    "style": "writes like the writer (0: like other people, 1: like the writer)",
    "style_grammar": "writes like the writer, by its small words and marks (0: like others, 1: like the writer)",
    "style_transfer": "writes like the writer, by the base's own likelihoods (0: plain prose, 1: like the writer)",
    "style_distance": "distance from the writer's style (0: the writer, 1: the base)",
    "rep4": "repeats itself (share of 4-word runs)",
    "distinct2": "variety (share of different 2-word runs)",
    "longest_loop": "longest loop, in words",
    "unfinished_share": "answers without an end",
    "empty_share": "empty answers",
    "length_ratio": "length, against the writer's",
    "odd_length_share": "answers of a length unlike the writer's",
    "verbatim_share": "text copied from the training data",
    "turing_share": "taken for the writer by readers (0.5: they cannot tell)",
    "longest_copy": "longest copy, in characters",
    "foreign_phrases": "phrases of base and teacher, in 1,000 words",
    "own_phrases": "phrases of the writer's own, in 1,000 words",
    "ability": "other tasks solved",
    "ability_loss": "surprise at general text (loss, nats per token; lower is better)",
}


def measure_name(measure: str) -> str:
    """The measure in words; one that has none as it is, without underscores."""
    name = measure.removesuffix("_nats_per_token")
    return MEASURE_NAMES.get(name, name.replace("_", " "))
