"""Money is exact, and the purse lets no call cross the cap."""

import asyncio
from decimal import Decimal

import pytest

from ghostwriter.errors import BudgetExceeded
from ghostwriter.model_settings import Budget
from ghostwriter.teacher.budget import Message, Prices, Purse, Usage

PRICES = Prices(input=Decimal("0.28"), cached_input=Decimal("0.028"), output=Decimal("0.42"))


def test_a_call_costs_fresh_cached_and_answered_tokens_each_at_its_price() -> None:
    assert PRICES.cost(Usage(prompt=1000, cached=600, completion=250)) == Decimal("0.0002338")


def test_cached_tokens_cost_as_much_as_others_where_the_writer_file_gives_no_price() -> None:
    assert Prices.of(Budget(input_price=Decimal(2), output_price=Decimal(8))).cached_input == Decimal(2)


def test_the_worst_price_takes_every_byte_for_a_token() -> None:
    messages: list[Message] = [{"role": "user", "content": "问 ab"}]
    expected = ((6 + 16 + 64) * Decimal("0.28") + 100 * Decimal("0.42")) / 1_000_000
    assert PRICES.worst(messages, max_tokens=100) == expected


def test_a_reservation_that_fits_only_after_another_is_settled_waits_for_it() -> None:
    async def near_the_cap() -> list[str]:
        purse, told = Purse(Decimal(10)), []
        await purse.reserve(Decimal(8))

        async def second() -> None:
            await purse.reserve(Decimal(8))
            told.append(f"second in, spent {purse.spent}")

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        told.append("first settles")
        await purse.settle(Decimal(8), Decimal(2))
        await waiting
        return told

    assert asyncio.run(near_the_cap()) == ["first settles", "second in, spent 2"]


def test_a_call_that_cannot_fit_is_refused_with_the_figures() -> None:
    purse = Purse(Decimal("1.00"), spent=Decimal("0.95"))
    with pytest.raises(BudgetExceeded, match=r"cap of 1\.0000 is reached: 0\.9500 spent .*next call could cost 0\.0600.*raise budget\.cap"):
        asyncio.run(purse.reserve(Decimal("0.06")))


def test_without_a_cap_nothing_is_refused() -> None:
    purse = Purse(None)
    asyncio.run(purse.reserve(Decimal(10**9)))
    assert purse.reserved == Decimal(10**9)
