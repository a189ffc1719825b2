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
    "operator_not_found": (
        Words(
            "There is no operator with this id.",
            "이 ID의 운영자가 없습니다.",
            "不存在具有此 ID 的运营人员。",
        ),
    ),
    "person_not_found": (
        Words(
            "Nobody with this address has an account and a verified address.",
            "이 주소로 인증을 마친 계정이 없습니다.",
            "没有使用此地址并已通过验证的账户。",
        ),
    ),
    "second_factor_missing": (
        Words(
            "Operators need a second factor: this person must set one up first.",
            "운영자에게는 2단계 인증이 필요합니다. 먼저 해당 사용자가 2단계 인증을 설정해야 합니다.",
            "运营人员需要双重验证：此人必须先完成设置。",
        ),
    ),
    "operator_already": (
        Words(
            "This person is an operator already; change the role instead.",
            "이미 운영자입니다. 대신 역할을 변경해 주세요.",
            "此人已是运营人员；请改为更改其角色。",
        ),
    ),
    "last_superadmin": (
        Words(
            "This is the last superadmin: make another one first.",
            "마지막 최고 관리자입니다. 먼저 다른 최고 관리자를 지정해 주세요.",
            "这是最后一位超级管理员：请先指定另一位。",
        ),
    ),
    "role_above_own": (
        Words(
            "Nobody gives more than he has: this role is above yours.",
            "본인의 역할보다 높은 역할은 부여할 수 없습니다.",
            "不能授予高于自己的角色。",
        ),
    ),
    "viewing_not_found": (
        Words(
            "This organisation has no viewing with this id.",
            "이 조직에는 이 ID의 대리 조회 기록이 없습니다.",
            "该组织没有此 ID 的代查看记录。",
        ),
    ),
    "viewer_unknown": (
        Words(
            "Only a person who signed in views as a customer, no operator token.",
            "고객 화면 대리 조회는 로그인한 사람만 할 수 있으며 운영자 토큰으로는 할 수 없습니다.",
            "只有已登录的人员才能以客户身份查看，运营令牌不可以。",
        ),
    ),
    "masked_answer_unavailable": (
        Words(
            "This answer cannot be shown with personal data masked.",
            "개인정보를 가린 상태로는 이 응답을 표시할 수 없습니다.",
            "此内容无法在屏蔽个人数据的情况下显示。",
        ),
    ),
}
