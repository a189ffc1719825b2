"""What is said of mails, to operators and to who turns some off."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

MAIL: Final[Mapping[str, tuple[Words, ...]]] = {
    "mail_not_found": (
        Words("There is no mail with this id.", "해당 ID의 메일이 없습니다.", "没有此 ID 的邮件。"),
    ),
    "mail_not_dead": (
        Words(
            "Only a mail that was given up can be tried again.",
            "발송을 포기한 메일만 다시 시도할 수 있습니다.",
            "只有已放弃发送的邮件才能重试。",
        ),
    ),
    "mail_template_not_found": (
        Words(
            "There is no mail template with this name.",
            "해당 이름의 메일 템플릿이 없습니다.",
            "没有此名称的邮件模板。",
        ),
    ),
    "unsubscribe_link_invalid": (
        Words(
            "This link to turn mails off is not valid.",
            "이 수신 거부 링크는 유효하지 않습니다.",
            "此退订链接无效。",
        ),
    ),
}
