# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said of the audit log, data exports and deletions."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

AUDIT: Final[Mapping[str, tuple[Words, ...]]] = {
    "audit_span_invalid": (
        Words(
            "The span of time is not valid.",
            "기간이 올바르지 않습니다.",
            "时间范围无效。",
        ),
        Words(
            "query.since: must lie before `until`, at most {days} days.",
            "query.since: `until`보다 앞선 시각이어야 하며 간격은 최대 {days}일입니다.",
            "query.since：必须早于 `until`，间隔最多 {days} 天。",
        ),
    ),
}
