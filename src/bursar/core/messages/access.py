# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What operators and who views as a customer are told: by code, first what stands for all of the code."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

ACCESS: Final[Mapping[str, tuple[Words, ...]]] = {
    "operator_address_refused": (
        Words(
            "Operators may not work from this address.",
            "이 주소에서는 운영자로 작업할 수 없습니다.",
            "不允许运营人员从此地址操作。",
        ),
    ),
}
