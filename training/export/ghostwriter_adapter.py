"""What MLflow loads a version with, `mlflow.pyfunc.load_model("models:/ghostwriter-WRITER@champion")`: plain transformers and peft.

A copy of this file lies beside each version's weights, so nothing of Ghostwriter has to be installed, and nothing of it is imported here.
The base is named, not kept: a hub id, a Python package with weights, or a folder in GHOSTWRITER_BASE or `model_config={"base": FOLDER}`.
"""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

FACTS_FILE = "ghostwriter.json"
WEIGHTS_FILE = "adapter_model.safetensors"
BASE_VARIABLE = "GHOSTWRITER_BASE"


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> "Version":
    """MLflow's entry: the version whose files lie in `path`."""
    folder = Path(path)
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    named = (model_config or {}).get("base") or os.environ.get(BASE_VARIABLE)
    return Version(_adapter(folder, facts), facts, named)


class Version:
    """A writer's model: questions in, answers out. Sampling is as it was when the version was judged, unless `params` say otherwise."""

    def __init__(self, adapter: Path, facts: dict[str, Any], base: str | None) -> None:
        import torch
        from peft import PeftModel

        self._facts = facts
        self._tokenizer, model = _base(facts, base)
        self._model: Any = PeftModel.from_pretrained(model, adapter, autocast_adapter_dtype=False).eval()
        self._model.to("cuda" if torch.cuda.is_available() else "cpu")

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> list[str]:
        """An answer to each question: a table with a column `question`, which MLflow also makes of a list of records."""
        given = model_input["question"] if hasattr(model_input, "columns") else model_input
        questions = [given] if isinstance(given, str) else list(given)
        return [self._answer(str(question), {**self._facts["answering"], **(params or {})}) for question in questions]

    def _answer(self, question: str, how: dict[str, Any]) -> str:
        import torch
        from transformers import GenerationConfig

        messages = [{"role": "user", "content": question}]
        prompt = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        ids = torch.tensor([prompt], device=self._model.device)
        sampled = how["temperature"] > 0
        settings = {"temperature": how["temperature"], "min_p": how["min_p"], "top_k": 0, "top_p": 1.0} if sampled else {}
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=sampled, max_new_tokens=how["max_new_tokens"], eos_token_id=self._tokenizer.eos_token_id,
            pad_token_id=self._tokenizer.pad_token_id, **settings,
        )  # fmt: skip
        torch.manual_seed(how["seed"])
        with torch.inference_mode():
            written = self._model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
        return str(self._tokenizer.decode(written[0, len(prompt) :], skip_special_tokens=True)).strip()


def _adapter(folder: Path, facts: dict[str, Any]) -> Path:
    """The folder with the weights: beside this model's file, else fetched from the run that trained them."""
    if (folder / WEIGHTS_FILE).exists():
        return folder
    from mlflow.artifacts import download_artifacts

    return Path(download_artifacts(artifact_uri=f"runs:/{facts['run_id']}/adapter"))


def _base(facts: dict[str, Any], named: str | None) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    if named or not facts["package"]:
        where, revision = named or facts["base"], None if named else facts["revision"]
        tokenizer = AutoTokenizer.from_pretrained(where, revision=revision)
        return tokenizer, AutoModelForCausalLM.from_pretrained(where, revision=revision, dtype=dtype)
    package = facts["package"]
    weights = _packaged(package)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    tokenizer.eos_token, tokenizer.pad_token = package["end_token"], package["pad_token"]
    model: Any = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    return tokenizer, model.to(torch.bfloat16).to(dtype)  # rounded as the base was when the adapter was trained


def _packaged(package: dict[str, Any]) -> Path:
    found = importlib.util.find_spec(package["module"])  # its own imports need not be installed
    if found is None or found.origin is None:
        raise FileNotFoundError(
            f"The base's weights are in a Python package that is not installed: {package['install']}."
            f" Or name a folder with the base in {BASE_VARIABLE}."
        )
    return Path(found.origin).with_name(package["file"])
