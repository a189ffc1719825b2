# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said of members, invitations and who owns an organisation."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

MEMBERS: Final[Mapping[str, tuple[Words, ...]]] = {
    "member_not_found": (
        Words(
            "This organisation has no member with this id.",
            "이 조직에는 해당 ID의 구성원이 없습니다.",
            "此组织没有该 ID 的成员。",
        ),
    ),
    "owner_stays": (
        Words(
            "The owner stays: transfer the ownership first, or close the organisation.",
            "소유자는 나갈 수 없습니다. 먼저 소유권을 이전하거나 조직을 종료해 주세요.",
            "所有者不能离开：请先转让所有权，或关闭组织。",
        ),
    ),
    "owner_missing": (
        Words(
            "The first member of an organisation is its owner.",
            "조직의 첫 구성원은 소유자여야 합니다.",
            "组织的第一位成员必须是所有者。",
        ),
    ),
    "role_not_given": (
        Words(
            "You cannot give or take this role.",
            "이 역할은 부여하거나 회수할 수 없습니다.",
            "您不能授予或收回此角色。",
        ),
        Words(
            "You can neither give nor take the role {role}.",
            "{role} 역할은 부여하거나 회수할 수 없습니다.",
            "您不能授予或收回 {role} 角色。",
        ),
    ),
    "organisation_closed": (
        Words(
            "A closed organisation gets no new members.",
            "종료된 조직에는 새 구성원을 추가할 수 없습니다.",
            "已关闭的组织不能加入新成员。",
        ),
    ),
    "too_many_members": (
        Words("The organisation is full.", "조직의 인원이 가득 찼습니다.", "组织成员已满。"),
        Words(
            "An organisation has at most {limit} members.",
            "조직의 구성원은 최대 {limit}명입니다.",
            "一个组织最多有 {limit} 名成员。",
        ),
    ),
    "invitation_not_found": (
        Words(
            "This organisation has no invitation with this id.",
            "이 조직에는 해당 ID의 초대가 없습니다.",
            "此组织没有该 ID 的邀请。",
        ),
    ),
    "invitation_invalid": (
        Words(
            "This invitation was used, withdrawn or has expired: ask for a new one.",
            "이미 사용되었거나, 취소되었거나, 만료된 초대입니다. 새 초대를 요청해 주세요.",
            "此邀请已被使用、已撤回或已过期：请索取新的邀请。",
        ),
    ),
    "invitation_for_another": (
        Words(
            "This invitation is for another e-mail address: sign in with that one.",
            "다른 이메일 주소로 보낸 초대입니다. 초대받은 주소로 로그인해 주세요.",
            "此邀请发给了另一个邮箱地址：请使用该地址登录。",
        ),
    ),
    "invitation_ended": (
        Words(
            "This invitation was accepted or withdrawn before.",
            "이미 수락되었거나 취소된 초대입니다.",
            "此邀请已被接受或撤回。",
        ),
    ),
    "already_member": (
        Words(
            "Whoever has this address is a member already.",
            "이미 구성원인 사람의 주소입니다.",
            "该地址的持有者已经是成员。",
        ),
    ),
    "invited_too_often": (
        Words(
            "This is too soon: invitations are mailed once a minute, and 50 times a day in all.",
            "초대 메일은 같은 주소로 1분에 한 번, 하루에 모두 50번까지만 보낼 수 있습니다.",
            "操作过于频繁：同一地址每分钟只能发送一次邀请邮件，每天总共 50 封。",
        ),
    ),
    "email_unverified": (
        Words(
            "Verify your e-mail address first.",
            "먼저 이메일 주소를 인증해 주세요.",
            "请先验证您的邮箱地址。",
        ),
    ),
    "too_many_organisations": (
        Words(
            "You own too many organisations.",
            "소유한 조직이 너무 많습니다.",
            "您拥有的组织过多。",
        ),
        Words(
            "A person owns at most {limit} organisations.",
            "한 사람이 소유할 수 있는 조직은 최대 {limit}개입니다.",
            "一个人最多拥有 {limit} 个组织。",
        ),
    ),
}
