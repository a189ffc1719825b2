# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said when a limit is reached."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

LIMITS: Final[Mapping[str, tuple[Words, ...]]] = {
    "address_not_allowed": (
        Words(
            "This key may not be used from this address.",
            "이 API Key는 이 주소에서 사용할 수 없습니다.",
            "此密钥不能从该地址使用。",
        ),
    ),
    "rate_limit_exceeded": (
        Words(
            "The limit of {limit} requests per minute ({scope}) is reached; retry in {seconds} s.",
            "분당 요청 한도 {limit}회({scope})에 도달했습니다. {seconds}초 후에 다시 시도해 주세요.",
            "已达到每分钟 {limit} 次请求的限制（{scope}）；请在 {seconds} 秒后重试。",
        ),
    ),
    "token_rate_limit_exceeded": (
        Words(
            "The limit of tokens per minute is reached.",
            "분당 토큰 한도에 도달했습니다.",
            "已达到每分钟令牌数的限制。",
        ),
        Words(
            "The limit of {limit} tokens per minute ({scope}) is reached; retry in {seconds} s.",
            "분당 토큰 한도 {limit}개({scope})에 도달했습니다. {seconds}초 후에 다시 시도해 주세요.",
            "已达到每分钟 {limit} 个令牌的限制（{scope}）；请在 {seconds} 秒后重试。",
        ),
    ),
    "concurrency_limit_exceeded": (
        Words(
            "The limit of requests at once is reached.",
            "동시 요청 한도에 도달했습니다.",
            "已达到并发请求的限制。",
        ),
        Words(
            "The limit of {limit} requests at once ({scope}) is reached; retry when one has ended.",
            "동시 요청 한도 {limit}개({scope})에 도달했습니다. 진행 중인 요청이 끝난 후 다시 시도해 주세요.",
            "已达到 {limit} 个并发请求的限制（{scope}）；请在其中一个结束后重试。",
        ),
    ),
    "budget_exceeded": (
        Words(
            "The budget does not cover this request.",
            "예산이 부족하여 이 요청을 처리할 수 없습니다.",
            "预算不足，无法处理此请求。",
        ),
        Words(
            "The budget {name} ({scope}) has {left} {asset} left, which does not cover this request.",
            "예산 {name}({scope})의 잔여 금액은 {left} {asset}이며, 이 요청을 처리하기에 부족합니다.",
            "预算 {name}（{scope}）剩余 {left} {asset}，不足以处理此请求。",
        ),
    ),
    "request_quota_exceeded": (
        Words(
            "The quota of requests is used up.",
            "요청 할당량을 모두 사용했습니다.",
            "请求配额已用尽。",
        ),
        Words(
            "The quota {name} ({scope}) of {amount} requests is used up.",
            "할당량 {name}({scope})의 요청 {amount}회를 모두 사용했습니다.",
            "配额 {name}（{scope}）的 {amount} 次请求已用尽。",
        ),
    ),
    "token_quota_exceeded": (
        Words(
            "The quota of tokens does not cover this request.",
            "토큰 할당량이 부족하여 이 요청을 처리할 수 없습니다.",
            "令牌配额不足，无法处理此请求。",
        ),
        Words(
            "The quota {name} ({scope}) has {left} tokens left, which does not cover this request.",
            "할당량 {name}({scope})의 잔여 토큰은 {left}개이며, 이 요청을 처리하기에 부족합니다.",
            "配额 {name}（{scope}）剩余 {left} 个令牌，不足以处理此请求。",
        ),
    ),
    "budget_not_found": (Words("There is no such budget.", "해당 예산이 없습니다.", "没有这个预算。"),),
    "budget_subject_unknown": (
        Words(
            "What the budget is for does not exist.",
            "예산의 대상이 존재하지 않습니다.",
            "预算的对象不存在。",
        ),
    ),
    "too_many_budgets": (
        Words(
            "Too many budgets are active.",
            "활성 예산이 너무 많습니다.",
            "启用的预算过多。",
        ),
        Words(
            "At most {limit} budgets may be active; switch one off.",
            "활성 예산은 최대 {limit}개입니다. 하나를 비활성화해 주세요.",
            "最多可启用 {limit} 个预算；请先停用一个。",
        ),
    ),
}
