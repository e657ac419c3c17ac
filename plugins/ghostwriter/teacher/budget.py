"""What teacher calls cost, and the purse that never lets a run cross its cap.

Money is `Decimal` throughout, in the vendor's currency; prices are for a million tokens.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypedDict

from ghostwriter.errors import BudgetExceeded
from ghostwriter.model_settings import Budget

MILLION = Decimal(1_000_000)
CHATML_TOKENS_A_MESSAGE = 16
"""Upper bound of what a chat template adds around one message: role, start, end, line breaks."""
TEMPLATE_TOKENS = 64
"""Upper bound of what a chat template adds once: a default system message, the start of the answer."""


class Message(TypedDict):
    """One message of a chat, as OpenAI's API and every trainer know it."""

    role: str
    content: str


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, as the teacher counted them. `cached` of the `prompt` tokens came from its cache."""

    prompt: int
    cached: int
    completion: int


@dataclass(frozen=True)
class Prices:
    """Prices for a million tokens."""

    input: Decimal
    cached_input: Decimal
    output: Decimal

    @classmethod
    def of(cls, budget: Budget) -> "Prices":
        """The prices of a writer file."""
        cached = budget.input_price if budget.cached_input_price is None else budget.cached_input_price
        return cls(budget.input_price, cached, budget.output_price)

    def cost(self, usage: Usage) -> Decimal:
        """What `usage` costs; exact."""
        fresh = usage.prompt - usage.cached
        return (fresh * self.input + usage.cached * self.cached_input + usage.completion * self.output) / MILLION

    def worst(self, messages: Sequence[Message], max_tokens: int) -> Decimal:
        """The most a call can cost: nothing cached, the answer as long as allowed.

        No byte-level tokenizer makes more tokens than there are UTF-8 bytes, so the bytes bound the prompt.
        """
        content = sum(len(message["content"].encode()) for message in messages)
        prompt = content + CHATML_TOKENS_A_MESSAGE * len(messages) + TEMPLATE_TOKENS
        return self.cost(Usage(prompt=prompt, cached=0, completion=max_tokens))


class Limit(Protocol):
    """What else a call must fit under: the writer's month (`ghostwriter.teacher.month`)."""

    def check(self, spent: Decimal, reserved: Decimal, worst: Decimal) -> None:
        """Raise BudgetExceeded when it does not."""
        ...


class Purse:
    """Spent and reserved money of one run, under its cap and the limit of the writer's month.

    A call reserves its worst price before it is sent and settles for what it cost. Close to the cap a call waits until
    those in flight have settled, and only then is refused.
    """

    def __init__(self, cap: Decimal | None, spent: Decimal = Decimal(0), month: Limit | None = None) -> None:
        self.cap = cap
        self.month = month
        self.spent = spent
        self.reserved = Decimal(0)
        self._in_flight = 0
        self._settled = asyncio.Condition()

    async def reserve(self, worst: Decimal) -> None:
        """Set `worst` aside. Raises BudgetExceeded when it cannot fit under cap and month even with nothing in flight."""
        async with self._settled:
            while refusal := self._refusal(worst):
                if not self._in_flight:
                    raise refusal
                await self._settled.wait()
            self.reserved += worst
            self._in_flight += 1

    def _refusal(self, worst: Decimal) -> BudgetExceeded | None:
        if self.cap is not None and self.spent + self.reserved + worst > self.cap:
            return BudgetExceeded(
                f"The run's cap of {money(self.cap)} is reached: {money(self.spent)} spent (possibly paid calls included), "
                f"and the next call could cost {money(worst)}. "
                "Everything bought is kept; raise budget.cap in the writer file and run again to go on from here."
            )
        try:
            if self.month:
                self.month.check(self.spent, self.reserved, worst)
        except BudgetExceeded as refusal:
            return refusal
        return None

    async def settle(self, worst: Decimal, cost: Decimal) -> None:
        """Give back a reservation and count what the call really cost (`worst` when nobody knows)."""
        async with self._settled:
            self.reserved -= worst
            self.spent += cost
            self._in_flight -= 1
            self._settled.notify_all()


def money(amount: Decimal) -> str:
    """Four decimals, enough for one call of a cheap teacher."""
    return f"{amount:.4f}"
