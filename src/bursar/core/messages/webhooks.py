# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said of outgoing webhooks."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

WEBHOOKS: Final[Mapping[str, tuple[Words, ...]]] = {
    "webhook_not_found": (
        Words(
            "This organisation has no webhook with this id.",
            "이 조직에는 해당 ID의 웹훅이 없습니다.",
            "该组织没有此 ID 的 webhook。",
        ),
    ),
    "delivery_not_found": (
        Words(
            "This webhook has no delivery with this id; they are kept for 30 days.",
            "이 웹훅에는 해당 ID의 전송 기록이 없습니다. 전송 기록은 30일간 보관됩니다.",
            "此 webhook 没有该 ID 的投递记录；记录保留 30 天。",
        ),
    ),
    "too_many_webhooks": (
        Words(
            "An organisation has at most 20 webhooks.",
            "조직의 웹훅은 최대 20개입니다.",
            "一个组织最多有 20 个 webhook。",
        ),
    ),
    "webhook_not_active": (
        Words(
            "Nothing is sent to a webhook that is paused or disabled: make it active first.",
            "일시 중지되었거나 비활성화된 웹훅에는 전송하지 않습니다. 먼저 활성화하세요.",
            "已暂停或已停用的 webhook 不会收到任何内容：请先启用它。",
        ),
    ),
    "webhook_url_refused": (
        Words(
            "A webhook goes to an https address of the internet.",
            "웹훅은 인터넷의 https 주소로만 전송됩니다.",
            "webhook 只能发送到互联网上的 https 地址。",
        ),
    ),
}
