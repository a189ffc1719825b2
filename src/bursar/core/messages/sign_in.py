# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said of signing in elsewhere: providers, linked identities, single sign-on."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

_SIGNING_IN: Final[Mapping[str, tuple[Words, ...]]] = {
    "return_path_invalid": (
        Words(
            "return_to: must be a path of this server, such as /keys.",
            "return_to: /keys처럼 이 서버의 경로여야 합니다.",
            "return_to：必须是本服务器的路径，例如 /keys。",
        ),
    ),
    "attempt_invalid": (
        Words(
            "This sign-in was not begun in this browser, or too long ago: begin again.",
            "이 브라우저에서 시작하지 않았거나 너무 오래된 로그인입니다. 처음부터 다시 시도해 주세요.",
            "此登录不是在本浏览器中发起的，或已过期：请重新开始。",
        ),
    ),
    "identity_not_proven": (
        Words(
            "The sign-in was not completed where you signed in: begin again.",
            "외부 서비스에서 로그인이 완료되지 않았습니다. 처음부터 다시 시도해 주세요.",
            "您所选服务的登录未完成：请重新开始。",
        ),
    ),
    "identity_source_away": (
        Words(
            "Where you sign in cannot be reached, or is not set up right: try again later.",
            "로그인 서비스에 연결할 수 없거나 설정이 올바르지 않습니다. 나중에 다시 시도해 주세요.",
            "无法连接登录服务，或其设置不正确：请稍后再试。",
        ),
    ),
    "sign_in_source_not_found": (
        Words(
            "Nobody signs in by this here.",
            "여기서는 이 방법으로 로그인할 수 없습니다.",
            "此处不支持这种登录方式。",
        ),
    ),
    "email_not_verified": (
        Words(
            "The address is not verified where you signed in: verify it there, then come back.",
            "외부 서비스에서 이메일 주소가 인증되지 않았습니다. 먼저 그곳에서 인증한 후 다시 시도해 주세요.",
            "您的邮箱地址在所选服务中尚未验证：请先在那里验证，然后再回来。",
        ),
    ),
    "domain_not_verified": (
        Words(
            "This single sign-on is for addresses of the organisation's verified domains only.",
            "이 싱글 사인온은 조직이 인증한 도메인의 주소만 사용할 수 있습니다.",
            "此单点登录仅适用于组织已验证域名下的地址。",
        ),
    ),
    "link_needs_sign_in": (
        Words(
            "There is an account with this address: sign in to it, then link from its settings.",
            "이 주소의 계정이 이미 있습니다. 먼저 로그인한 후 설정에서 연결해 주세요.",
            "此地址已有账户：请先登录该账户，然后在设置中关联。",
        ),
    ),
    "identity_taken": (
        Words(
            "This identity is linked to another account.",
            "이 외부 계정은 다른 계정에 연결되어 있습니다.",
            "该身份已关联到另一个账户。",
        ),
    ),
    "account_disabled": (Words("This account is disabled.", "비활성화된 계정입니다.", "该账户已停用。"),),
    "sign_up_needed": (
        Words(
            "There is no account with this address: sign up, and accept the terms, first.",
            "이 주소의 계정이 없습니다. 먼저 가입하고 약관에 동의해 주세요.",
            "此地址尚无账户：请先注册并接受条款。",
        ),
    ),
    "sign_in_raced": (
        Words(
            "Somebody signed in with this address at the same moment: begin again.",
            "같은 시각에 이 주소로 로그인한 기록이 있습니다. 처음부터 다시 시도해 주세요.",
            "此地址恰好同时在别处登录：请重新开始。",
        ),
    ),
    "identity_not_found": (
        Words(
            "You have no linked identity with this id.",
            "해당 ID로 연결된 외부 계정이 없습니다.",
            "您没有此 ID 的关联身份。",
        ),
    ),
    "single_sign_on_required": (
        Words(
            "People of this domain sign in at their organisation.",
            "이 도메인의 사용자는 조직의 싱글 사인온으로 로그인해야 합니다.",
            "此域名的用户须通过其组织登录。",
        ),
    ),
    "single_sign_on_role_missing": (
        Words(
            "Your organisation gives you no role here: ask whoever runs its single sign-on.",
            "조직에서 부여한 역할이 없습니다. 싱글 사인온 관리자에게 문의해 주세요.",
            "您的组织未授予您任何角色：请联系其单点登录管理员。",
        ),
    ),
}

_SET_UP: Final[Mapping[str, tuple[Words, ...]]] = {
    "issuer_unusable": (
        Words(
            "body.issuer: does not answer as an OpenID Connect issuer of exactly this name over https.",
            "body.issuer: 정확히 이 이름의 OpenID Connect 발급자로 https에서 응답하지 않습니다.",
            "body.issuer：未以该确切名称通过 https 作为 OpenID Connect 颁发者响应。",
        ),
    ),
    "identity_provider_not_found": (
        Words(
            "There is no identity provider with this id.",
            "해당 ID의 인증 제공자가 없습니다.",
            "没有此 ID 的身份提供方。",
        ),
    ),
    "identity_provider_exists": (
        Words(
            "An identity provider has this slug already.",
            "이 슬러그를 사용하는 인증 제공자가 이미 있습니다.",
            "已有身份提供方使用此标识。",
        ),
    ),
    "too_many_identity_providers": (
        Words(
            "There are too many identity providers.",
            "인증 제공자가 너무 많습니다.",
            "身份提供方过多。",
        ),
        Words(
            "There are at most {limit} identity providers.",
            "인증 제공자는 최대 {limit}개입니다.",
            "最多只能有 {limit} 个身份提供方。",
        ),
    ),
    "sso_connection_not_found": (
        Words(
            "This organisation has no single sign-on with this id.",
            "이 조직에는 해당 ID의 싱글 사인온이 없습니다.",
            "该组织没有此 ID 的单点登录。",
        ),
    ),
    "too_many_sso_connections": (
        Words(
            "This organisation has too many single sign-ons.",
            "이 조직에 싱글 사인온이 너무 많습니다.",
            "该组织的单点登录过多。",
        ),
        Words(
            "An organisation has at most {limit} single sign-ons.",
            "조직의 싱글 사인온은 최대 {limit}개입니다.",
            "一个组织最多有 {limit} 个单点登录。",
        ),
    ),
    "sso_domain_not_found": (
        Words(
            "This organisation has no domain with this id.",
            "이 조직에는 해당 ID의 도메인이 없습니다.",
            "该组织没有此 ID 的域名。",
        ),
    ),
    "sso_domain_exists": (
        Words(
            "This organisation has this domain already.",
            "이 조직에 이미 등록된 도메인입니다.",
            "该组织已添加此域名。",
        ),
    ),
    "too_many_sso_domains": (
        Words(
            "This organisation has too many domains.",
            "이 조직에 도메인이 너무 많습니다.",
            "该组织的域名过多。",
        ),
        Words(
            "An organisation has at most {limit} domains.",
            "조직의 도메인은 최대 {limit}개입니다.",
            "一个组织最多有 {limit} 个域名。",
        ),
    ),
    "sso_domain_taken": (
        Words(
            "Another organisation has verified this domain.",
            "다른 조직이 이미 인증한 도메인입니다.",
            "另一组织已验证此域名。",
        ),
    ),
    "sso_domain_unproven": (
        Words(
            "DNS does not show the TXT record yet: what was just published may take an hour.",
            "DNS에 아직 TXT 레코드가 보이지 않습니다. 방금 등록했다면 최대 한 시간이 걸릴 수 있습니다.",
            "DNS 中尚未出现该 TXT 记录：刚发布的记录可能需要一小时才能生效。",
        ),
    ),
    "name_servers_away": (
        Words(
            "The name servers do not answer; nothing is proven either way. Retry shortly.",
            "네임 서버가 응답하지 않아 확인할 수 없습니다. 잠시 후 다시 시도해 주세요.",
            "域名服务器无响应，无法判断。请稍后重试。",
        ),
    ),
}

SIGN_IN: Final = {**_SIGNING_IN, **_SET_UP}
