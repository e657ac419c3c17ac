"""Questions to an export in plain transformers and peft: nothing of this project's layers or decoding runs here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.rows.data import Message


class Plain:
    """The model and tokenizer of an exported folder; an adapter is put onto the base in `base_folder`."""

    def __init__(self, folder: Path, base_folder: str | None = None, revision: str | None = None) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(base_folder or folder, revision=revision, dtype=torch.float32)
        if (folder / "adapter_config.json").exists():
            self._model = PeftModel.from_pretrained(self._model, folder, autocast_adapter_dtype=False)
        self._model.eval()

    def prompt(self, messages: list[Message]) -> list[int]:
        """Token ids of a conversation, by the chat template and tokenizer in the folder."""
        found = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        return list(found["input_ids"])

    def answers(self, prompts: Sequence[list[int]], most: int) -> list[list[int]]:
        """Token ids of the greedy answers, each with its end token when it comes within `most`."""
        return [self._answer(prompt, most) for prompt in prompts]

    @torch.inference_mode()
    def _answer(self, prompt: list[int], most: int) -> list[int]:
        from transformers import GenerationConfig

        end, pad = self._tokenizer.eos_token_id, self._tokenizer.pad_token_id
        how = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False, max_new_tokens=most, eos_token_id=end, pad_token_id=pad
        )
        ids = torch.tensor([prompt])
        written = self._model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=how)
        return list(written[0, len(prompt) :].tolist())
