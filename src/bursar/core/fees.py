"""What a request costs that runs on the customer's own provider credential: the platform fee, no price.

The fee is a percentage of what the provider's price list makes of the request (the `cost` of our price book)
plus a fixed amount per request. Fees are dated and only added to, as prices are: a usage row names the one it
was rated by, so that its explanation says the same for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Final
from uuid import UUID

from bursar.core.money import ATTO_DIGITS, Rounding, asset_scale, round_half_even, round_up
from bursar.core.pricing import MeterPrice, ModelNotPriced, Quote, Rating, rate
from bursar.core.usage import Meter, Usage

OWN_KEY: Final = "own_key"
"""Flag of a usage row whose request ran on the customer's own credential."""

PLATFORM_FEE: Final = "platform_fee"
"""Under this name the `price_ids` of such a row say which fee was in force; it is no meter."""

PERCENT_DIGITS: Final = 4
MILLIONTHS: Final = 10**6
"""A percentage has four digits after the point, so its parts are whole millionths."""

FEE_DIGITS: Final = ATTO_DIGITS + 6
"""Digits after the point of an exact fee: millionths of atto."""


class FeeInvalid(ValueError):
    """A fee with a negative figure."""

    code: ClassVar[str] = "fee_invalid"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """One dated fee. `organisation_id` None: of everybody who has none of his own.

    `millionths`: the percentage of list cost, 5 % is 50,000. `fixed_atto`: per request, in `currency`.
    """

    fee_id: int
    organisation_id: UUID | None
    currency: str
    effective_from_ms: int
    millionths: int
    fixed_atto: int

    def __post_init__(self) -> None:
        if self.millionths < 0 or self.fixed_atto < 0:
            raise FeeInvalid(f"fee {self.fee_id} has a negative figure")

    def exact(self, list_cost_atto: int) -> int:
        """The fee in 10^-24 of a major unit (`FEE_DIGITS`), not rounded."""
        return list_cost_atto * self.millionths + self.fixed_atto * MILLIONTHS

    def amount(self, list_cost_atto: int, rounding: Rounding = round_half_even) -> int:
        """The fee in units of its currency, rounded once."""
        return rounding(self.exact(list_cost_atto), 10 ** (FEE_DIGITS - asset_scale(self.currency)))


class FeeBook:
    """Every fee row, indexed; quotes of fees are kept, one for each fee and priced model in use."""

    __slots__ = ("_quotes", "_rows")

    def __init__(self, rows: Iterable[Fee] = ()) -> None:
        self._rows: dict[tuple[UUID | None, str], list[Fee]] = {}
        self._quotes: dict[tuple[int, UUID, str], tuple[Quote, Quote]] = {}
        for row in sorted(rows, key=lambda row: (row.effective_from_ms, row.fee_id), reverse=True):
            self._rows.setdefault((row.organisation_id, row.currency), []).append(row)

    def in_force(self, organisation_id: UUID, currency: str, at_ms: int) -> Fee:
        """The organisation's newest fee not after `at_ms`, else everybody's.

        Raises:
            ModelNotPriced: there is none in this currency; nothing is served for nothing by accident.
        """
        for owner in (organisation_id, None):
            for fee in self._rows.get((owner, currency), ()):
                if fee.effective_from_ms <= at_ms:
                    return fee
        raise ModelNotPriced(f"no platform fee in {currency} is in force")

    def quote(self, quote: Quote, fee: Fee) -> Quote:
        """`fee_quote`, made once for each quote of the price book."""
        place = (fee.fee_id, quote.provider_id, quote.model)
        kept = self._quotes.get(place)
        if kept is None or kept[0] is not quote:
            kept = self._quotes[place] = (quote, fee_quote(quote, fee))
        return kept[1]


def fee_quote(quote: Quote, fee: Fee) -> Quote:
    """What to hold by: the fee of one unit of each meter, rounded up, in the place of its sale price.

    The fixed part is a price of `Meter.REQUEST`. It is for holds only: a request is rated by `rate_fee`.
    """
    sheets = []
    for sheet in quote.sheets:
        units = {
            meter: MeterPrice(price.price_id, 0, round_up(price.cost_atto * fee.millionths, MILLIONTHS))
            for meter, price in sheet.items()
        }
        each = units.get(Meter.REQUEST, MeterPrice(0, 0, 0))
        units[Meter.REQUEST] = each._replace(sale_atto=each.sale_atto + fee.fixed_atto)
        sheets.append(MappingProxyType(units))
    return replace(quote, sheets=tuple(sheets), memo={})


def rate_fee(quote: Quote, usage: Usage, fee: Fee) -> Rating:
    """Rate one attempt on the customer's own credential: it costs us nothing, the sale is the fee.

    The lines keep what the price list makes of each meter; `quote` is the price book's own. Raises
    `CurrencyMismatch` when the fee is in another currency than the quote.
    """
    listed = rate(quote, usage, fee.currency)
    list_cost_atto = sum(line.cost_atto for line in listed.lines)
    return listed._replace(cost=0, sale=fee.amount(list_cost_atto))
