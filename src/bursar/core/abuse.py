"""Abuse: the rules as data, what an observation weighs, and what is done about a score.

docs/abuse-rules.md explains them; a test compares it with the table below.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from bursar.core.messages.words import Words

SCORE_MAX: Final = 100


class Rule(StrEnum):
    """What is looked for."""

    ACCOUNTS_PER_NETWORK = "accounts_per_network"
    ACCOUNTS_PER_DEVICE = "accounts_per_device"
    ACCOUNTS_PER_DOMAIN = "accounts_per_domain"
    ACCOUNTS_PER_CARD = "accounts_per_card"
    SPEND_SPIKE = "spend_spike"
    ERROR_STORM = "error_storm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a rule's value weighs: nothing below `begins`, then `first` points, and `more` per `step` above.

    `told`: how a customer is told of it.
    """

    begins: int
    step: int
    first: int
    more: int
    most: int
    told: Words


_MANY_ACCOUNTS: Final = Words(
    "many accounts opened in one place",
    "한 곳에서 다수의 계정이 개설됨",
    "同一来源开设了大量账户",
)

RULES: Final[Mapping[Rule, Weight]] = {
    Rule.ACCOUNTS_PER_NETWORK: Weight(begins=3, step=1, first=10, more=10, most=50, told=_MANY_ACCOUNTS),
    Rule.ACCOUNTS_PER_DEVICE: Weight(begins=3, step=1, first=5, more=5, most=20, told=_MANY_ACCOUNTS),
    Rule.ACCOUNTS_PER_DOMAIN: Weight(begins=5, step=1, first=5, more=5, most=20, told=_MANY_ACCOUNTS),
    Rule.ACCOUNTS_PER_CARD: Weight(
        begins=2,
        step=1,
        first=30,
        more=25,
        most=80,
        told=Words(
            "one card used by several accounts", "하나의 카드를 여러 계정에서 사용함", "多个账户使用同一张卡"
        ),
    ),
    Rule.SPEND_SPIKE: Weight(
        begins=10,
        step=1,
        first=10,
        more=1,
        most=40,
        told=Words("a sudden rise in spending", "사용 금액의 급격한 증가", "消费金额突然激增"),
    ),
    Rule.ERROR_STORM: Weight(
        begins=1_000,
        step=1_000,
        first=20,
        more=10,
        most=40,
        told=Words("a storm of failing requests", "실패한 요청의 폭증", "大量请求失败"),
    ),
}
"""What each weighs. No rule alone suspends but the card's, and that only for four accounts or more."""

SPIKE_FLOOR_MAJOR: Final[Mapping[str, int]] = {
    "USD": 50,
    "EUR": 50,
    "CNY": 350,
    "KRW": 70_000,
    "JPY": 7_500,
}
"""Less than this in an hour, in major units, is no spike however little it was before."""

STORM_FAILED_PERCENT: Final = 80
"""Of an hour's requests, so many must have failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A rule's value for an organisation. `organisations`: some of those it shares something with."""

    organisation_id: UUID
    rule: Rule
    value: int
    organisations: tuple[UUID, ...] = ()


class Verdict(StrEnum):
    NOTHING = "nothing"
    QUEUE = "queue"
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From which score an organisation is queued for an operator, and from which suspended at once."""

    queue: int = 30
    suspend: int = 80


def points(rule: Rule, value: int) -> int:
    """What a value weighs; never less for more."""
    weight = RULES[rule]
    if value < weight.begins:
        return 0
    return min(weight.first + (value - weight.begins) // weight.step * weight.more, weight.most)


def strongest(observed: Iterable[Observed]) -> dict[Rule, Observed]:
    """Of each rule the greatest value, by rule; the first of equals."""
    found: dict[Rule, Observed] = {}
    for one in observed:
        known = found.get(one.rule)
        if known is None or one.value > known.value:
            found[one.rule] = one
    return {rule: found[rule] for rule in Rule if rule in found}


def score(values: Mapping[Rule, int]) -> int:
    """How suspicious all of it is together, from 0 to SCORE_MAX."""
    return min(sum(points(rule, value) for rule, value in values.items()), SCORE_MAX)


def verdict(total: int, thresholds: Thresholds) -> Verdict:
    if total >= thresholds.suspend:
        return Verdict.SUSPEND
    return Verdict.QUEUE if total >= thresholds.queue else Verdict.NOTHING


def heaviest(values: Mapping[Rule, int]) -> Rule:
    """What a customer is told of: the rule with most points. `values` is not empty."""
    return max(values, key=lambda rule: points(rule, values[rule]))
