"""The card of an export: a README.md in the hub's form that says what it is, how it did, and how to run it."""

from pathlib import Path

from training.contract import ExportProof, ExportRequest
from training.models.base_models import PACKAGE_PREFIX, PACKAGES

NOTICE = (
    "This model imitates how one person writes. What it says is not what that person said or thinks: say so wherever you show it,"
    " do not pass its answers off as theirs, and take it down when they ask."
)
MODEL_FILE = "model.gguf"
RUN = {
    "gguf": """llama.cpp:

    llama-server -m {file} --jinja --samplers "temperature;min_p" --temp {temperature} --min-p {min_p}

Ollama (the Modelfile is beside this card):

    ollama create {name} -f Modelfile && ollama run {name}

vLLM and transformers: export it `--as merged` or `--as peft`.
""",
    "merged": """transformers:

    from transformers import pipeline
    answer = pipeline("text-generation", model=".")
    question = [{{"role": "user", "content": "What is a lighthouse for?"}}]
    answer(question, max_new_tokens=300, do_sample=True, temperature={temperature}, min_p={min_p})

vLLM:

    vllm serve . --served-model-name {name} --generation-config vllm

llama.cpp and Ollama: export it `--as gguf`.
""",
    "peft": """transformers and peft, with the base ({base}) in the folder BASE:

    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(".")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("BASE", dtype="bfloat16"), ".")

vLLM:

    vllm serve BASE --enable-lora --max-lora-rank {rank} --lora-modules {name}=. --generation-config vllm

llama.cpp and Ollama: export it `--as gguf`.
""",
}
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as --max-lora-rank; its buffers are as large as that, so the smallest that fits is named."""


def write_card(folder: Path, request: ExportRequest, proof: ExportProof, base_folder: Path, rank: int) -> None:
    """Write README.md, and for llama.cpp's form the Modelfile that Ollama reads."""
    (folder / "README.md").write_text(card(request, proof, base_folder, rank), encoding="utf-8")
    if request.form == "gguf":
        how = request.card.answering
        settings = {"temperature": how.temperature, "min_p": how.min_p, "top_k": 0, "top_p": 1, "repeat_penalty": 1}
        parameters = "".join(f"PARAMETER {name} {value}\n" for name, value in settings.items())
        (folder / "Modelfile").write_text(f"FROM ./{MODEL_FILE}\n{parameters}", encoding="utf-8")


def card(request: ExportRequest, proof: ExportProof, base_folder: Path, rank: int) -> str:
    """The card's text."""
    facts, licence = request.card, base_licence(request.base, base_folder)
    how = {"temperature": facts.answering.temperature, "min_p": facts.answering.min_p}
    fitting = next((each for each in VLLM_RANKS if each >= rank), rank)
    run = RUN[request.form].format(name=request.name, base=request.base, file=MODEL_FILE, rank=fitting, **how)
    consent = "has agreed to it (`consent = true` in the writer file)." if facts.consent else "is not known to have agreed to it."
    return f"""---
license: {licence}
language: {facts.language}
library_name: {"peft" if request.form == "peft" else "transformers" if request.form == "merged" else "gguf"}
pipeline_tag: text-generation
---
# {request.name}

Answers in the voice of {facts.writer}: version {facts.version} of `{facts.model}`, as {request.form}.

{NOTICE}

- Base: {request.base}{f" at {request.revision}" if request.revision else ""}. Licence of the base: {licence}.
- The writer {consent}
- Promoted: {facts.why or "not known"}

## How to run it
{run}
## Figures
{_figures(facts.figures)}
## Proof
Greedy answers to {proof.questions} held-out questions ({proof.tokens} tokens), given by this export, read by plain peft in float32:
{proof.agree} of {proof.questions} are the adapter's own choice token by token (at most {proof.furthest} nats behind it;
{proof.near_tie} are rounding). The base would not give all of these answers. Prompts have training's token ids.
`proof.json` has the answers.
"""


def base_licence(base: str, folder: Path) -> str:
    """The base's licence as its package or its own card names it; `unknown` without one."""
    if base.startswith(PACKAGE_PREFIX):
        return PACKAGES[base.removeprefix(PACKAGE_PREFIX)].licence
    card_of_base = folder / "README.md"
    lines = card_of_base.read_text(encoding="utf-8").splitlines() if card_of_base.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("license:")]
    return named[0] if named else "unknown"


def _figures(table: dict[str, list[str]]) -> str:
    """The evaluation's table, measures as rows."""
    if not table:
        return "MLflow has no examination of this version.\n"
    rows = zip(*table.values(), strict=True)
    lines = [f"| {' | '.join(table)} |", "|" + " --- |" * len(table), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"
