"""What is said about members, projects and teams whose keys are limited and counted together."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

PROJECTS: Final[Mapping[str, tuple[Words, ...]]] = {
    "member_not_found": (
        Words(
            "This organisation has no such member.",
            "이 조직에 해당 구성원이 없습니다.",
            "此组织没有该成员。",
        ),
    ),
    "project_not_found": (
        Words(
            "This organisation has no such project.",
            "이 조직에 해당 프로젝트가 없습니다.",
            "此组织没有该项目。",
        ),
    ),
    "team_not_found": (
        Words(
            "This organisation has no such team.",
            "이 조직에 해당 팀이 없습니다.",
            "此组织没有该团队。",
        ),
    ),
}
