# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What is said of own provider credentials, platform fees and routing rules, by both planes."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

OWN_KEYS: Final[Mapping[str, tuple[Words, ...]]] = {
    "organisation_closed": (
        Words(
            "A closed organisation gets no new credentials.",
            "종료된 조직에는 새 자격 증명을 추가할 수 없습니다.",
            "已关闭的组织不能添加新凭据。",
        ),
    ),
    "credential_not_found": (
        Words(
            "This organisation has no credential with this id.",
            "이 조직에는 해당 ID의 자격 증명이 없습니다.",
            "该组织没有此 ID 的凭据。",
        ),
    ),
    "too_many_credentials": (
        Words(
            "An organisation has at most {limit} credentials.",
            "조직의 자격 증명은 최대 {limit}개입니다.",
            "一个组织最多有 {limit} 个凭据。",
        ),
    ),
    "credential_invalid": (
        Words(
            "body.secret: must be {length} or more visible ASCII characters without blanks.",
            "body.secret: 공백 없이 보이는 ASCII 문자 {length}자 이상이어야 합니다.",
            "body.secret：必须是 {length} 个或更多不含空白的可见 ASCII 字符。",
        ),
        Words(
            "body.secret: this is a key of this server, not one of the provider.",
            "body.secret: 이것은 Provider의 키가 아니라 이 서버의 키입니다.",
            "body.secret：这是本服务器的密钥，不是服务商的密钥。",
        ),
        Words(
            "body.secret: credentials of this provider begin with {begins}",
            "body.secret: 이 Provider의 자격 증명은 {begins}(으)로 시작합니다.",
            "body.secret：该服务商的凭据以 {begins} 开头",
        ),
    ),
    "own_key_refused": (
        Words(
            "The provider refused your organisation's own credential.",
            "Provider가 귀 조직의 자체 자격 증명을 거부했습니다.",
            "服务商拒绝了贵组织自己的凭据。",
        ),
    ),
    "own_key_out_of_funds": (
        Words(
            "The account of your organisation's own credential has no funds left at the provider.",
            "귀 조직의 자체 자격 증명 계정에 Provider 측 잔액이나 할당량이 남아 있지 않습니다.",
            "贵组织自己凭据所属的账户在服务商处已无余额或配额。",
        ),
    ),
    "own_key_rate_limited": (
        Words(
            "The provider receives too many requests with your organisation's own credential.",
            "귀 조직의 자체 자격 증명으로 Provider에 보내는 요청이 너무 많습니다.",
            "使用贵组织自己的凭据发往服务商的请求过多。",
        ),
    ),
    "routing_not_permitted": (
        Words(
            "Your organisation's rules permit no provider of this model.",
            "귀 조직의 규칙에 따라 이 모델의 Provider를 사용할 수 없습니다.",
            "贵组织的规则不允许使用此模型的任何服务商。",
        ),
        Words(
            "No provider of the model {name} is in the providers and regions that your organisation allows.",
            "모델 {name}의 Provider 중 귀 조직이 허용한 Provider와 리전에 속한 것이 없습니다.",
            "模型 {name} 的服务商均不在贵组织允许的服务商和区域之内。",
        ),
    ),
    "own_keys_not_taken": (
        Words(
            "This provider takes no credentials of organisations.",
            "이 Provider는 조직의 자체 자격 증명을 받지 않습니다.",
            "该服务商不接受组织自己的凭据。",
        ),
        Words(
            "The provider {name} takes no credentials of organisations.",
            "Provider {name}은(는) 조직의 자체 자격 증명을 받지 않습니다.",
            "服务商 {name} 不接受组织自己的凭据。",
        ),
    ),
    "provider_unknown": (
        Words("There is no such provider.", "해당 Provider가 없습니다.", "没有这个服务商。"),
        Words(
            "body.provider_id: there is no such provider.",
            "body.provider_id: 해당 Provider가 없습니다.",
            "body.provider_id：没有这个服务商。",
        ),
        Words(
            "body.allowed_providers: there is no such provider.",
            "body.allowed_providers: 해당 Provider가 없습니다.",
            "body.allowed_providers：没有这个服务商。",
        ),
    ),
    "region_unknown": (
        Words("There is no such region.", "해당 리전이 없습니다.", "没有这个区域。"),
        Words(
            "body.allowed_regions: nothing is in: {regions}",
            "body.allowed_regions: 다음 리전에는 아무것도 없습니다: {regions}",
            "body.allowed_regions：以下区域中没有任何部署：{regions}",
        ),
    ),
    "fee_invalid": (
        Words("The platform fee is not valid.", "플랫폼 수수료가 올바르지 않습니다.", "平台费用无效。"),
        Words(
            "body.per_request: must not be above {most}.",
            "body.per_request: {most}을(를) 초과할 수 없습니다.",
            "body.per_request：不得超过 {most}。",
        ),
    ),
    "fee_not_found": (
        Words(
            "No platform fee is in force for this organisation.",
            "이 조직에 적용되는 플랫폼 수수료가 없습니다.",
            "该组织目前没有生效的平台费用。",
        ),
    ),
    "fee_exists": (
        Words(
            "A fee begins at that very moment already; fees are never changed, only added.",
            "같은 시각에 시작하는 수수료가 이미 있습니다. 수수료는 변경할 수 없고 추가만 가능합니다.",
            "已有费用从同一时刻开始；费用不能修改，只能添加。",
        ),
    ),
}
