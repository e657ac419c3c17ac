"""Presets of teachers people have: presets.toml as typed settings."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from ghostwriter.model_settings import Parameters
from ghostwriter.writer_settings import Section

PRESETS = Path(__file__).parent / "presets.toml"


class Preset(Section):
    """A teacher's address and habits. A price is never without the page and the date it was read on."""

    title: str
    base_url: str
    model: str | None = None
    parameters: Parameters = Field(default_factory=dict)
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    is_free: bool = False
    batch: bool = False
    """Answers are bought through the vendor's Batch API."""
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    prices_page: str | None = None
    prices_date: str | None = None

    @model_validator(mode="after")
    def _prices_have_a_page(self) -> Self:
        told = [self.input_price, self.output_price, self.prices_page, self.prices_date]
        if any(value is not None for value in told) and None in told:
            raise ValueError("a price needs all four: input_price, output_price, prices_page, prices_date")
        return self


def load_presets() -> dict[str, Preset]:
    """All presets by their short name, in the file's order."""
    tables = tomllib.loads(PRESETS.read_text(encoding="utf-8"), parse_float=Decimal)
    return {name: Preset.model_validate(table) for name, table in tables.items()}
