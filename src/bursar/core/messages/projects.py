# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
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
    "team_unknown": (
        Words(
            "This organisation has no such team in use.",
            "이 조직에 사용 중인 해당 팀이 없습니다.",
            "此组织没有使用中的该团队。",
        ),
    ),
    "project_unknown": (
        Words(
            "This organisation has no such project in use.",
            "이 조직에 사용 중인 해당 프로젝트가 없습니다.",
            "此组织没有使用中的该项目。",
        ),
    ),
    "name_taken": (
        Words(
            "Another one in use has this name.",
            "이미 사용 중인 이름입니다.",
            "该名称已被使用。",
        ),
    ),
    "still_in_use": (
        Words(
            "It is still in use.",
            "아직 사용 중입니다.",
            "仍在使用中。",
        ),
        Words(
            "Projects are in this team; archive or move them first.",
            "이 팀에 프로젝트가 있습니다. 먼저 보관하거나 옮겨 주세요.",
            "此团队中仍有项目；请先将其归档或移走。",
        ),
        Words(
            "Keys work in this project; revoke or move them first.",
            "이 프로젝트에서 사용 중인 API Key가 있습니다. 먼저 폐기하거나 옮겨 주세요.",
            "此项目中仍有可用的密钥；请先将其吊销或移走。",
        ),
    ),
    "too_many_projects": (
        Words(
            "Too many are in use.",
            "사용 중인 항목이 너무 많습니다.",
            "使用中的数量过多。",
        ),
        Words(
            "At most {limit} may be in use; archive one.",
            "최대 {limit}개까지 사용할 수 있습니다. 하나를 보관해 주세요.",
            "最多可使用 {limit} 个；请先归档一个。",
        ),
    ),
}
