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
    "data_export_not_found": (
        Words(
            "There is no data export with this id.",
            "해당 ID의 데이터 내보내기가 없습니다.",
            "没有此 ID 的数据导出。",
        ),
    ),
    "data_export_pending": (
        Words(
            "A data export is being made already.",
            "이미 데이터 내보내기를 만드는 중입니다.",
            "已有数据导出正在生成。",
        ),
    ),
    "data_exports_too_many": (
        Words(
            "There were too many data exports today.",
            "오늘 요청한 데이터 내보내기가 너무 많습니다.",
            "今天请求的数据导出过多。",
        ),
        Words(
            "At most {number} data exports are made in a day.",
            "데이터 내보내기는 하루에 최대 {number}번 만들 수 있습니다.",
            "每天最多生成 {number} 个数据导出。",
        ),
    ),
    "data_export_not_ready": (
        Words(
            "This data export cannot be downloaded.",
            "이 데이터 내보내기는 다운로드할 수 없습니다.",
            "此数据导出无法下载。",
        ),
        Words(
            "This data export cannot be downloaded: it is {state}.",
            "이 데이터 내보내기는 다운로드할 수 없습니다. 상태: {state}.",
            "此数据导出无法下载，状态为 {state}。",
        ),
    ),
    "deletion_not_found": (
        Words("No deletion was asked for.", "요청된 삭제가 없습니다.", "没有请求过删除。"),
    ),
    "deletion_scheduled": (
        Words(
            "The deletion is scheduled already.",
            "삭제가 이미 예약되어 있습니다.",
            "删除已在计划中。",
        ),
    ),
    "owner_cannot_be_deleted": (
        Words(
            "You own an organisation: hand it over or delete it first.",
            "소유한 조직이 있습니다. 먼저 소유권을 이전하거나 조직을 삭제해 주세요.",
            "您仍拥有组织：请先移交或删除该组织。",
        ),
    ),
    "deletion_not_confirmed": (
        Words(
            "The deletion is not confirmed.",
            "삭제가 확인되지 않았습니다.",
            "删除未得到确认。",
        ),
        Words(
            "body.{what}: is not the {what} of what is to be deleted.",
            "body.{what}: 삭제할 대상의 {what} 값과 일치하지 않습니다.",
            "body.{what}：与要删除对象的 {what} 不一致。",
        ),
    ),
}
