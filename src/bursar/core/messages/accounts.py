# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said to people who sign up, sign in and keep their account."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

ACCOUNTS: Final[Mapping[str, tuple[Words, ...]]] = {
    "refresh_raced": (
        Words(
            "This sign-in was refreshed a moment ago, by another tab perhaps: ask again.",
            "이 로그인은 방금 (아마도 다른 탭에서) 갱신되었습니다. 다시 요청하세요.",
            "此登录刚刚已刷新（可能在另一个标签页中），请重新请求。",
        ),
    ),
    "sign_ins_busy": (
        Words(
            "Too many people sign in at this moment; nothing was changed. Retry shortly.",
            "지금 로그인하는 사람이 너무 많습니다. 아무것도 변경되지 않았으니 잠시 후 다시 시도하세요.",
            "当前登录人数过多；未做任何更改。请稍后重试。",
        ),
    ),
    "too_many_tries": (
        Words(
            "Too many tries; wait before the next one.",
            "시도 횟수가 너무 많습니다. 잠시 기다린 뒤 다시 시도하세요.",
            "尝试次数过多，请稍候再试。",
        ),
    ),
    "origin_refused": (
        Words(
            "This page may not sign anybody in: its origin is not on the list.",
            "이 페이지에서는 로그인할 수 없습니다. 출처가 허용 목록에 없습니다.",
            "此页面不能用于登录：其来源不在允许列表中。",
        ),
    ),
    "sign_in_refused": (
        Words(
            "The e-mail address or the password is wrong.",
            "이메일 주소 또는 비밀번호가 올바르지 않습니다.",
            "电子邮件地址或密码错误。",
        ),
    ),
    "sign_up_password_wrong": (
        Words(
            "This is not the password you signed up with. If you forgot it, sign up again.",
            "가입할 때 정한 비밀번호가 아닙니다. 잊으셨다면 다시 가입하세요.",
            "这不是您注册时设置的密码。如已忘记，请重新注册。",
        ),
    ),
    "second_factor_needed": (
        Words(
            "Send the code of your authenticator, or a recovery code, with the password.",
            "비밀번호와 함께 인증 앱의 코드 또는 복구 코드를 보내세요.",
            "请将身份验证器的验证码或恢复代码与密码一起发送。",
        ),
    ),
    "second_factor_refused": (
        Words(
            "This code is wrong, too old or was used before.",
            "코드가 틀렸거나 만료되었거나 이미 사용되었습니다.",
            "验证码错误、已过期或已使用过。",
        ),
    ),
    "refresh_refused": (
        Words(
            "This refresh token opens nothing: sign in.",
            "이 갱신 토큰은 유효하지 않습니다. 다시 로그인하세요.",
            "此刷新令牌无效，请重新登录。",
        ),
    ),
    "link_refused": (
        Words(
            "This link was used before, has expired or never was: ask for a new one.",
            "이 링크는 이미 사용되었거나 만료되었거나 존재하지 않습니다. 새 링크를 요청하세요.",
            "此链接已使用、已过期或不存在，请申请新链接。",
        ),
    ),
    "email_taken": (
        Words(
            "There is an account with this e-mail address already: sign in.",
            "이 이메일 주소의 계정이 이미 있습니다. 로그인하세요.",
            "该电子邮件地址已有账户，请登录。",
        ),
    ),
    "email_refused": (
        Words(
            "body.email: addresses of this domain are not taken: use a lasting one.",
            "body.email: 이 도메인의 주소는 사용할 수 없습니다. 지속적으로 사용하는 주소를 입력하세요.",
            "body.email：不接受该域名的地址，请使用长期有效的地址。",
        ),
    ),
    "password_weak": (
        Words(
            "This password is too easy to guess: take more words, and none of your name or address.",
            "너무 추측하기 쉬운 비밀번호입니다. 단어를 더 사용하고 이름이나 주소는 넣지 마세요.",
            "此密码太容易被猜到：请使用更多词语，且不要包含您的姓名或地址。",
        ),
        Words(
            "This password is too easy to guess: it needs {length} characters or more.",
            "너무 추측하기 쉬운 비밀번호입니다. {length}자 이상이어야 합니다.",
            "此密码太容易被猜到：至少需要 {length} 个字符。",
        ),
    ),
    "sign_up_closed": (
        Words(
            "Nobody can sign up here by himself: ask whoever runs this place.",
            "여기서는 직접 가입할 수 없습니다. 운영자에게 문의하세요.",
            "此处不开放自行注册，请联系运营方。",
        ),
    ),
    "terms_not_accepted": (
        Words(
            "Accept the terms and the privacy notice as they are now.",
            "현재 버전의 이용약관과 개인정보 처리방침에 동의하세요.",
            "请接受当前版本的条款和隐私声明。",
        ),
    ),
    "captcha_refused": (
        Words(
            "The captcha was not solved: try again.",
            "캡차가 올바르지 않습니다. 다시 시도하세요.",
            "验证码未通过，请重试。",
        ),
    ),
    "captcha_unavailable": (
        Words(
            "Captchas cannot be checked at the moment; nothing was changed. Retry shortly.",
            "지금은 캡차를 확인할 수 없습니다. 아무것도 변경되지 않았으니 잠시 후 다시 시도하세요.",
            "目前无法校验验证码；未做任何更改。请稍后重试。",
        ),
    ),
    "password_wrong": (
        Words(
            "This is not your password.",
            "비밀번호가 올바르지 않습니다.",
            "密码不正确。",
        ),
    ),
    "sign_in_again": (
        Words(
            "Your sign-in is too old for this: sign in again.",
            "이 작업을 하기에는 로그인한 지 너무 오래되었습니다. 다시 로그인하세요.",
            "您的登录时间过久，无法执行此操作，请重新登录。",
        ),
    ),
    "session_not_found": (
        Words(
            "You have no sign-in with this id.",
            "해당 ID의 로그인 세션이 없습니다.",
            "您没有此 ID 的登录会话。",
        ),
    ),
    "two_factor_on": (
        Words(
            "Your second factor is set up already: turn it off first.",
            "2단계 인증이 이미 설정되어 있습니다. 먼저 해제하세요.",
            "您的双重验证已设置，请先关闭。",
        ),
    ),
    "two_factor_off": (
        Words(
            "You have no second factor: set one up first.",
            "2단계 인증이 설정되어 있지 않습니다. 먼저 설정하세요.",
            "您尚未设置双重验证，请先设置。",
        ),
    ),
    "two_factor_kept": (
        Words(
            "Operators cannot do without a second factor.",
            "운영자는 2단계 인증을 해제할 수 없습니다.",
            "运营人员不能关闭双重验证。",
        ),
    ),
    "person_not_found": (
        Words(
            "There is nobody with this e-mail address.",
            "해당 이메일 주소의 사용자가 없습니다.",
            "没有使用该电子邮件地址的用户。",
        ),
    ),
}
