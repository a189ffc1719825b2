# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What the control plane says under `/api/v1`: by code, first the sentence that stands for all of the code.

Codes that the gateway has too add their sentences here; what stands for them is in `calls`.
"""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

_EVERYWHERE: Final[Mapping[str, tuple[Words, ...]]] = {
    "books_unavailable": (
        Words(
            "The books cannot be reached at the moment; nothing was changed. Retry shortly.",
            "현재 장부에 접근할 수 없습니다. 변경된 내용은 없습니다. 잠시 후 다시 시도해 주세요.",
            "目前无法访问账本；未作任何更改。请稍后重试。",
        ),
    ),
    "internal_error": (
        Words(
            "Something failed that should not; it was logged.",
            "예상하지 못한 오류가 발생했으며 기록되었습니다.",
            "发生了意外错误，已记录日志。",
        ),
    ),
    "invalid_request": (
        Words(
            "A value is outside what can be stored.",
            "저장할 수 있는 범위를 벗어난 값이 있습니다.",
            "某个值超出了可存储的范围。",
        ),
        Words(
            "body.{name}: must not be null",
            "body.{name}: null일 수 없습니다.",
            "body.{name}：不能为 null。",
        ),
    ),
    "request_too_large": (
        Words(
            "The request body is longer than {limit} bytes.",
            "요청 본문이 {limit}바이트를 초과합니다.",
            "请求体超过 {limit} 字节。",
        ),
    ),
    "unsupported_media_type": (
        Words("Unsupported Media Type", "지원하지 않는 미디어 형식입니다.", "不支持的媒体类型。"),
    ),
    "not_found": (Words("Not Found", "찾을 수 없습니다.", "未找到。"),),
    "http_error": (Words("The request failed.", "요청을 처리하지 못했습니다.", "请求失败。"),),
    "conflict": (
        Words(
            "This contradicts what is already stored; nothing was changed.",
            "이미 저장된 내용과 모순됩니다. 변경된 내용은 없습니다.",
            "这与已存储的内容相矛盾；未作任何更改。",
        ),
    ),
    "expiry_past": (
        Words(
            "body.expires_at: must lie in the future.",
            "body.expires_at: 미래의 시각이어야 합니다.",
            "body.expires_at：必须是将来的时间。",
        ),
    ),
    "invalid_cursor": (
        Words(
            "query.cursor: this is not a cursor of this listing.",
            "query.cursor: 이 목록의 커서가 아닙니다.",
            "query.cursor：这不是此列表的游标。",
        ),
    ),
    "idempotency_key_invalid": (
        Words(
            "Idempotency-Key: must be 1 to 128 visible ASCII characters.",
            "Idempotency-Key: 표시 가능한 ASCII 문자 1~128자여야 합니다.",
            "Idempotency-Key：必须是 1 到 128 个可见的 ASCII 字符。",
        ),
    ),
    "idempotency_key_required": (
        Words(
            "Send an Idempotency-Key header: a fresh one per top-up or refund.",
            "Idempotency-Key 헤더를 보내 주세요. 충전이나 환불마다 새로운 값이어야 합니다.",
            "请发送 Idempotency-Key 请求头：每次充值或退款使用一个新值。",
        ),
    ),
    "idempotency_conflict": (
        Words(
            "This Idempotency-Key was used before with other content; nothing was done.",
            "이 Idempotency-Key는 이미 다른 내용에 사용되었습니다. 처리된 작업은 없습니다.",
            "此 Idempotency-Key 已用于其他内容；未执行任何操作。",
        ),
    ),
}

_OPERATORS: Final[Mapping[str, tuple[Words, ...]]] = {
    "invalid_token": (
        Words(
            "The token is missing, unknown, revoked or expired: sign in.",
            "토큰이 없거나, 등록되지 않았거나, 폐기되었거나, 만료되었습니다. 로그인해 주세요.",
            "令牌缺失、未知、已吊销或已过期：请登录。",
        ),
    ),
    "permission_denied": (
        Words(
            "Your role does not have the permission this needs.",
            "현재 역할에는 이 작업에 필요한 권한이 없습니다.",
            "您的角色没有此操作所需的权限。",
        ),
        Words(
            "This needs the permission {permission}, which your role does not have.",
            "이 작업에는 {permission} 권한이 필요하지만, 현재 역할에는 없습니다.",
            "此操作需要 {permission} 权限，而您的角色没有该权限。",
        ),
    ),
    "two_factor_required": (
        Words(
            "Operators sign in with a second factor: set one up, then sign in again.",
            "운영자는 2단계 인증으로 로그인해야 합니다. 설정한 뒤 다시 로그인해 주세요.",
            "运营者必须使用双重验证登录：请先设置，然后重新登录。",
        ),
    ),
    "csrf_refused": (
        Words(
            "A browser must send the value of the cookie bursar_csrf as x-csrf-token.",
            "브라우저는 bursar_csrf 쿠키의 값을 x-csrf-token 헤더로 보내야 합니다.",
            "浏览器必须将 Cookie bursar_csrf 的值作为 x-csrf-token 请求头发送。",
        ),
    ),
    "view_only": (
        Words(
            "Somebody who views as a customer changes nothing.",
            "고객 화면으로 보는 동안에는 아무것도 변경할 수 없습니다.",
            "以客户身份查看时不能进行任何更改。",
        ),
    ),
    "operator_token_not_found": (
        Words(
            "There is no operator token with this id.",
            "해당 ID의 운영자 토큰이 없습니다.",
            "没有此 ID 的运营者令牌。",
        ),
    ),
}

_CUSTOMERS: Final[Mapping[str, tuple[Words, ...]]] = {
    "organisation_not_found": (
        Words(
            "There is no organisation with this id.",
            "해당 ID의 조직이 없습니다.",
            "没有此 ID 的组织。",
        ),
    ),
    "organisation_ambiguous": (
        Words(
            "Several organisations have this name; use the id.",
            "같은 이름의 조직이 여러 개 있습니다. ID를 사용해 주세요.",
            "有多个组织使用此名称；请使用 ID。",
        ),
    ),
    "organisation_closed": (
        Words(
            "A closed organisation gets no new keys.",
            "종료된 조직에는 새 API Key를 발급할 수 없습니다.",
            "已关闭的组织不能获得新密钥。",
        ),
    ),
    "too_many_keys": (
        Words(
            "Too many keys are in use.",
            "사용 중인 API Key가 너무 많습니다.",
            "使用中的密钥过多。",
        ),
        Words(
            "At most {limit} keys may be in use; revoke one.",
            "API Key는 최대 {limit}개까지 사용할 수 있습니다. 하나를 폐기해 주세요.",
            "最多可使用 {limit} 个密钥；请先吊销一个。",
        ),
    ),
    "key_not_found": (
        Words(
            "This organisation has no key with this id.",
            "이 조직에는 해당 ID의 API Key가 없습니다.",
            "此组织没有该 ID 的密钥。",
        ),
    ),
    "key_not_usable": (
        Words("This key cannot be used.", "사용할 수 없는 API Key입니다.", "此密钥不可用。"),
        Words("This key was revoked.", "폐기된 API Key입니다.", "此密钥已吊销。"),
        Words("This key has expired.", "만료된 API Key입니다.", "此密钥已过期。"),
        Words(
            "This key was rotated before; rotate its successor.",
            "이미 교체된 API Key입니다. 교체된 새 API Key를 교체해 주세요.",
            "此密钥已轮换过；请轮换其后继密钥。",
        ),
    ),
    "model_unknown": (
        Words("There is no such model.", "해당 모델이 없습니다.", "没有这个模型。"),
        Words(
            "body.allowed_models: no such model: {names}",
            "body.allowed_models: 해당 모델이 없습니다: {names}",
            "body.allowed_models：没有这些模型：{names}",
        ),
    ),
    "usage_not_found": (
        Words(
            "This organisation has no request with this id.",
            "이 조직에는 해당 ID의 요청이 없습니다.",
            "此组织没有该 ID 的请求。",
        ),
    ),
    "span_invalid": (
        Words("The time span is not valid.", "조회 기간이 올바르지 않습니다.", "时间范围无效。"),
        Words(
            "query.since: must lie before until.",
            "query.since: until보다 앞서야 합니다.",
            "query.since：必须早于 until。",
        ),
        Words(
            "query.since: a span has at most {days} days.",
            "query.since: 조회 기간은 최대 {days}일입니다.",
            "query.since：时间范围最多 {days} 天。",
        ),
    ),
}

_MONEY: Final[Mapping[str, tuple[Words, ...]]] = {
    "amount_invalid": (
        Words("The amount is not valid.", "금액이 올바르지 않습니다.", "金额无效。"),
        Words(
            "body.amount: must be above zero, and at most what one transaction may move.",
            "body.amount: 0보다 크고, 한 거래에서 옮길 수 있는 한도 이하여야 합니다.",
            "body.amount：必须大于零，且不超过单笔交易的上限。",
        ),
    ),
    "credit_limit_invalid": (
        Words("The credit limit is not valid.", "신용 한도가 올바르지 않습니다.", "信用额度无效。"),
        Words(
            "A prepaid organisation has no credit limit; make it postpaid.",
            "선불 조직에는 신용 한도가 없습니다. 후불로 변경해 주세요.",
            "预付费组织没有信用额度；请改为后付费。",
        ),
        Words(
            "body.credit_limit: must be above zero, and below a billion.",
            "body.credit_limit: 0보다 크고 10억보다 작아야 합니다.",
            "body.credit_limit：必须大于零且小于十亿。",
        ),
    ),
    "transaction_not_found": (
        Words(
            "This wallet has no top-up with this number.",
            "이 지갑에는 해당 번호의 충전 내역이 없습니다.",
            "此钱包没有该编号的充值记录。",
        ),
    ),
    "nothing_to_refund": (
        Words(
            "Nothing of it is left to refund.",
            "환불할 수 있는 금액이 남아 있지 않습니다.",
            "没有可退款的余额。",
        ),
        Words(
            "Nothing of it is left to refund now.",
            "지금 환불할 수 있는 금액이 남아 있지 않습니다.",
            "目前没有可退款的余额。",
        ),
        Words(
            "All of this top-up repaid a debt.",
            "이 충전액은 모두 부채 상환에 사용되었습니다.",
            "这笔充值已全部用于偿还欠款。",
        ),
    ),
    "refund_too_large": (
        Words("The refund is too large.", "환불 금액이 너무 큽니다.", "退款金额过大。"),
        Words(
            "At most {free} {currency} can be refunded now.",
            "지금은 최대 {free} {currency}까지 환불할 수 있습니다.",
            "目前最多可退款 {free} {currency}。",
        ),
    ),
    "ledger_refused": (
        Words("The books refused this.", "장부가 이 작업을 거절했습니다.", "账本拒绝了此操作。"),
    ),
    "not_in_books": (Words("This is not in the books.", "장부에 없는 항목입니다.", "账本中没有此项。"),),
    "amount_out_of_range": (
        Words("The amount is out of range.", "금액이 허용 범위를 벗어났습니다.", "金额超出范围。"),
    ),
    "refund_exceeds_sale": (
        Words(
            "The refund exceeds what is left of the sale.",
            "환불 금액이 판매액의 남은 금액을 초과합니다.",
            "退款金额超过该笔销售的剩余金额。",
        ),
    ),
    "refund_exceeds_unspent": (
        Words(
            "The refund exceeds what is unspent.",
            "환불 금액이 사용하지 않은 금액을 초과합니다.",
            "退款金额超过未使用的金额。",
        ),
    ),
}

_OFFER: Final[Mapping[str, tuple[Words, ...]]] = {
    "provider_not_found": (
        Words("There is no such provider.", "해당 Provider가 없습니다.", "没有这个服务商。"),
    ),
    "provider_exists": (
        Words("There is such a provider already.", "이미 존재하는 Provider입니다.", "该服务商已存在。"),
        Words(
            "There is a provider {slug} already.",
            "이미 존재하는 Provider입니다: {slug}",
            "服务商 {slug} 已存在。",
        ),
    ),
    "provider_unknown": (
        Words(
            "body.provider_id: there is no such provider.",
            "body.provider_id: 해당 Provider가 없습니다.",
            "body.provider_id：没有这个服务商。",
        ),
    ),
    "fallback_invalid": (
        Words("A fallback is not valid.", "대체 모델이 올바르지 않습니다.", "备用模型无效。"),
        Words(
            "body.fallbacks: the same model is named twice.",
            "body.fallbacks: 같은 모델이 두 번 지정되었습니다.",
            "body.fallbacks：同一模型出现了两次。",
        ),
        Words(
            "body.fallbacks: a model cannot stand in for itself.",
            "body.fallbacks: 모델은 자기 자신을 대체할 수 없습니다.",
            "body.fallbacks：模型不能替代自己。",
        ),
        Words(
            "body.fallbacks: there is no model {name}.",
            "body.fallbacks: {name} 모델이 없습니다.",
            "body.fallbacks：没有模型 {name}。",
        ),
    ),
    "credential_unknown": (
        Words(
            "body.credential_id: this provider has no such credential.",
            "body.credential_id: 이 Provider에 해당 자격 증명이 없습니다.",
            "body.credential_id：该服务商没有这个凭据。",
        ),
    ),
    "base_url_invalid": (
        Words("The base URL is not valid.", "기본 URL이 올바르지 않습니다.", "基础 URL 无效。"),
        Words(
            "body.base_url: a provider of kind {kind} needs one.",
            "body.base_url: {kind} 유형의 Provider에는 필요합니다.",
            "body.base_url：{kind} 类型的服务商必须提供。",
        ),
        Words(
            "body.base_url: must not contain a user or a password; add a credential instead.",
            "body.base_url: 사용자나 비밀번호를 포함할 수 없습니다. 대신 자격 증명을 추가해 주세요.",
            "body.base_url：不能包含用户名或密码；请改为添加凭证。",
        ),
        Words(
            "body.base_url: must not contain a query or a fragment.",
            "body.base_url: 쿼리나 프래그먼트를 포함할 수 없습니다.",
            "body.base_url：不能包含查询参数或片段。",
        ),
        Words(
            "body.base_url: plain http would show the credential to everyone on the way; use https.",
            "body.base_url: 암호화하지 않은 http는 자격 증명을 전송 중에 노출합니다. https를 쓰세요.",
            "body.base_url：明文 http 会在传输途中暴露凭证；请使用 https。",
        ),
        Words(
            "body.base_url: must be an http or https URL with a host.",
            "body.base_url: 호스트가 있는 http 또는 https URL이어야 합니다.",
            "body.base_url：必须是带主机名的 http 或 https URL。",
        ),
        Words(
            "body.base_url: contains a character that no URL may have.",
            "body.base_url: URL에 쓸 수 없는 문자가 있습니다.",
            "body.base_url：包含 URL 中不允许的字符。",
        ),
    ),
    "credential_not_found": (
        Words(
            "This provider has no credential with this id.",
            "이 Provider에는 해당 ID의 자격 증명이 없습니다.",
            "此服务商没有该 ID 的凭证。",
        ),
    ),
    "credential_invalid": (
        Words(
            "body.secret: must be visible ASCII characters; it travels in a header.",
            "body.secret: 헤더로 전송되므로 표시 가능한 ASCII 문자여야 합니다.",
            "body.secret：将在请求头中传输，必须是可见的 ASCII 字符。",
        ),
    ),
    "too_many_credentials": (
        Words("Too many credentials.", "자격 증명이 너무 많습니다.", "凭证过多。"),
        Words(
            "A provider has at most {most} credentials.",
            "Provider 하나에 자격 증명은 최대 {most}개입니다.",
            "每个服务商最多有 {most} 个凭证。",
        ),
    ),
    "model_name_taken": (
        Words(
            "The name is already taken.",
            "이미 사용 중인 이름입니다.",
            "该名称已被占用。",
        ),
        Words("The same name is given twice.", "같은 이름이 두 번 지정되었습니다.", "同一名称出现了两次。"),
        Words(
            "Already the name of a model: {names}",
            "이미 모델 이름으로 사용 중입니다: {names}",
            "已是某个模型的名称：{names}",
        ),
    ),
    "route_not_found": (Words("There is no such route.", "해당 경로가 없습니다.", "没有这条路由。"),),
    "route_exists": (
        Words(
            "This model has this route already.",
            "이 모델에 이미 있는 경로입니다.",
            "该模型已有这条路由。",
        ),
    ),
    "successor_invalid": (
        Words("The successor is not valid.", "후속 모델이 올바르지 않습니다.", "后继模型无效。"),
        Words(
            "body.successor: a model cannot succeed itself.",
            "body.successor: 모델은 자기 자신의 후속 모델이 될 수 없습니다.",
            "body.successor：模型不能以自身为后继。",
        ),
        Words(
            "body.successor: there is no such model.",
            "body.successor: 해당 모델이 없습니다.",
            "body.successor：没有这个模型。",
        ),
    ),
    "price_not_found": (
        Words(
            "There is no price with this number.",
            "해당 번호의 가격이 없습니다.",
            "没有此编号的价格。",
        ),
    ),
    "price_exists": (
        Words(
            "A price begins at that very moment already; prices are never changed, only added.",
            "같은 시각에 시작하는 가격이 이미 있습니다. 가격은 변경할 수 없고 추가만 가능합니다.",
            "已有价格从同一时刻开始；价格不能修改，只能添加。",
        ),
    ),
    "price_invalid": (
        Words("The price is not valid.", "가격이 올바르지 않습니다.", "价格无效。"),
        Words(
            "body.provider_id: there is no such provider.",
            "body.provider_id: 해당 Provider가 없습니다.",
            "body.provider_id：没有这个服务商。",
        ),
        Words(
            "body.provider_ids: there is no such provider.",
            "body.provider_ids: 해당 Provider가 없습니다.",
            "body.provider_ids：没有这个服务商。",
        ),
        Words(
            "body.cost: nothing is known yet of what this costs; say it.",
            "body.cost: 아직 원가를 알 수 없습니다. 원가를 입력해 주세요.",
            "body.cost：尚不知其成本；请填写。",
        ),
        Words(
            "body.{name}: finer than {digits} digits per unit.",
            "body.{name}: 단위당 소수점 아래 {digits}자리보다 세밀합니다.",
            "body.{name}：精度超过每单位 {digits} 位小数。",
        ),
        Words(
            "body.source: genai-prices has no list with this id.",
            "body.source: genai-prices에 해당 ID의 가격 목록이 없습니다.",
            "body.source：genai-prices 中没有此 ID 的价目表。",
        ),
    ),
}

CONTROL: Final[Mapping[str, tuple[Words, ...]]] = {
    **_EVERYWHERE,
    **_OPERATORS,
    **_CUSTOMERS,
    **_MONEY,
    **_OFFER,
}
