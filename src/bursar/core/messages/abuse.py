# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said of suspects of abuse."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

ABUSE: Final[Mapping[str, tuple[Words, ...]]] = {
    "suspect_not_found": (
        Words(
            "There is no suspect with this id.",
            "해당 ID의 의심 사례가 없습니다.",
            "没有此 ID 的可疑记录。",
        ),
    ),
    "suspect_decided": (
        Words(
            "This was decided before; what is new makes a new suspect.",
            "이미 처리된 사례입니다. 새로 발견된 내용은 새 사례로 등록됩니다.",
            "此记录已有处理结果；新的情况会生成新的记录。",
        ),
    ),
}
