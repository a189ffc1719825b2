# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation
"""What the gateway says under `/v1`: by code, first the sentence that stands for all of the code."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

_MONEY: Final[Mapping[str, tuple[Words, ...]]] = {
    "insufficient_balance": (
        Words(
            "The balance does not cover this request.",
            "잔액이 부족하여 이 요청을 처리할 수 없습니다.",
            "余额不足，无法处理此请求。",
        ),
        Words(
            "This request may cost up to {estimate} {currency}; {spendable} {currency} can be spent.",
            "이 요청의 비용은 최대 {estimate} {currency}이며, 사용 가능 잔액은 {spendable} {currency}입니다.",
            "此请求的费用最高为 {estimate} {currency}，可用余额为 {spendable} {currency}。",
        ),
        Words(
            "The balance ran out during the answer; what was produced is charged.",
            "응답 도중 잔액이 소진되었습니다. 이미 생성된 부분은 과금됩니다.",
            "回答过程中余额已用尽；已生成的部分会计费。",
        ),
    ),
    "books_unavailable": (
        Words(
            "The books cannot be reached at the moment.",
            "현재 장부에 접근할 수 없습니다.",
            "目前无法访问账本。",
        ),
        Words(
            "New requests cannot be funded at the moment; nothing was charged. Retry shortly.",
            "현재 새 요청의 자금을 확보할 수 없습니다. 과금된 금액은 없습니다. 잠시 후 다시 시도해 주세요.",
            "目前无法为新请求预留资金；未产生任何费用。请稍后重试。",
        ),
    ),
    "usage_not_found": (
        Words(
            "There is no such usage.",
            "해당 사용 기록이 없습니다.",
            "没有这条使用记录。",
        ),
        Words(
            "There is no usage of a request {request_id}.",
            "요청 {request_id}의 사용 기록이 없습니다.",
            "没有请求 {request_id} 的使用记录。",
        ),
    ),
}

_KEYS_AND_LIMITS: Final[Mapping[str, tuple[Words, ...]]] = {
    "invalid_api_key": (
        Words(
            "The API key is missing, unknown, revoked or expired.",
            "API Key가 없거나, 등록되지 않았거나, 폐기되었거나, 만료되었습니다.",
            "API 密钥缺失、未知、已吊销或已过期。",
        ),
    ),
    "rate_limit_exceeded": (
        Words(
            "Too many requests with this key.",
            "이 API Key의 요청이 너무 많습니다.",
            "此密钥的请求过多。",
        ),
        Words(
            "Too many requests with this key; retry in {seconds} s.",
            "이 API Key의 요청이 너무 많습니다. {seconds}초 후에 다시 시도해 주세요.",
            "此密钥的请求过多；请在 {seconds} 秒后重试。",
        ),
    ),
    "overloaded": (
        Words(
            "The gateway is at its limit; retry shortly.",
            "게이트웨이가 한계에 도달했습니다. 잠시 후 다시 시도해 주세요.",
            "网关已达到上限；请稍后重试。",
        ),
    ),
    "request_too_large": (
        Words(
            "The request body is too large.",
            "요청 본문이 너무 큽니다.",
            "请求体过大。",
        ),
        Words(
            "The request body is larger than {limit} bytes.",
            "요청 본문이 {limit}바이트를 초과합니다.",
            "请求体超过 {limit} 字节。",
        ),
    ),
    "request_timeout": (
        Words(
            "The request body did not arrive in time.",
            "요청 본문이 제한 시간 안에 도착하지 않았습니다.",
            "请求体未在规定时间内到达。",
        ),
    ),
    "internal_error": (
        Words(
            "Something went wrong here; it was logged.",
            "내부 오류가 발생했으며 기록되었습니다.",
            "服务内部出错，已记录日志。",
        ),
    ),
}

_MODELS: Final[Mapping[str, tuple[Words, ...]]] = {
    "model_not_found": (
        Words(
            "There is no such model.",
            "해당 모델이 없습니다.",
            "没有这个模型。",
        ),
        Words(
            "The model {name} does not exist.",
            "존재하지 않는 모델입니다: {name}",
            "模型 {name} 不存在。",
        ),
        Words(
            "The model {name} does not exist. It was retired; use {successor} instead.",
            "존재하지 않는 모델입니다: {name}. 서비스가 종료되었으니 대신 {successor} 모델을 사용해 주세요.",
            "模型 {name} 不存在：它已下线，请改用 {successor}。",
        ),
    ),
    "model_not_allowed": (
        Words(
            "This key may not use this model.",
            "이 API Key로는 사용할 수 없는 모델입니다.",
            "此密钥无权使用该模型。",
        ),
        Words(
            "This key may not use the model {name}.",
            "이 API Key로는 {name} 모델을 사용할 수 없습니다.",
            "此密钥无权使用模型 {name}。",
        ),
    ),
    "wrong_endpoint": (
        Words(
            "This model cannot be asked here.",
            "이 엔드포인트에서는 사용할 수 없는 모델입니다.",
            "该模型不能通过此接口调用。",
        ),
        Words(
            "The model {name} cannot be asked at {asked}, but at: {places}.",
            "{name} 모델은 {asked}에서 사용할 수 없습니다. 다음 엔드포인트를 사용해 주세요: {places}.",
            "模型 {name} 不能通过 {asked} 调用，请使用：{places}。",
        ),
    ),
    "model_not_priced": (
        Words(
            "This model has no price yet.",
            "아직 가격이 정해지지 않은 모델입니다.",
            "该模型尚未定价。",
        ),
        Words(
            "The model {name} has no price in this currency yet.",
            "{name} 모델은 아직 이 통화의 가격이 정해지지 않았습니다.",
            "模型 {name} 尚无此币种的价格。",
        ),
    ),
    "model_unavailable": (
        Words(
            "No provider serves this model at the moment.",
            "현재 이 모델을 제공하는 Provider가 없습니다.",
            "目前没有服务商提供该模型。",
        ),
        Words(
            "No provider serves the model {name} at the moment.",
            "현재 {name} 모델을 제공하는 Provider가 없습니다.",
            "目前没有服务商提供模型 {name}。",
        ),
    ),
    "no_such_route": (
        Words(
            "This model is not served by the providers or in the regions that this request names.",
            "이 요청이 지정한 Provider나 리전에서는 이 모델을 제공하지 않습니다.",
            "此请求指定的服务商或区域不提供该模型。",
        ),
        Words(
            "The model {name} is not served by the providers or in the regions that this request names.",
            "이 요청이 지정한 Provider나 리전에서는 {name} 모델을 제공하지 않습니다.",
            "此请求指定的服务商或区域不提供模型 {name}。",
        ),
    ),
}

_REQUESTS: Final[Mapping[str, tuple[Words, ...]]] = {
    "unknown_url": (
        Words(
            "There is nothing at this address.",
            "이 주소에는 아무것도 없습니다.",
            "此地址没有任何内容。",
        ),
        Words(
            "There is nothing at {method} {path}.",
            "{method} {path} 주소에는 아무것도 없습니다.",
            "{method} {path} 处没有任何内容。",
        ),
    ),
    "method_not_allowed": (
        Words(
            "Method Not Allowed",
            "허용되지 않는 메서드입니다.",
            "不允许使用此方法。",
        ),
        Words(
            "{path} answers {allowed} only.",
            "{path} 주소는 {allowed} 메서드만 지원합니다.",
            "{path} 只支持 {allowed} 方法。",
        ),
    ),
    "invalid_request": (
        Words(
            "The request is not valid.",
            "요청이 올바르지 않습니다.",
            "请求无效。",
        ),
        Words(
            "The content-length header is not a number.",
            "content-length 헤더가 숫자가 아닙니다.",
            "content-length 请求头不是数字。",
        ),
        Words(
            "A message with content from the user is needed.",
            "내용이 있는 사용자 메시지가 필요합니다.",
            "需要一条有内容的用户消息。",
        ),
        Words(
            "A function's result must follow its call.",
            "함수의 결과는 해당 호출 뒤에 와야 합니다.",
            "函数的结果必须跟在其调用之后。",
        ),
    ),
    "invalid_type": (
        Words(
            "A parameter has an invalid value.",
            "매개변수의 값이 올바르지 않습니다.",
            "参数的值无效。",
        ),
        Words(
            "Invalid value for '{param}': expected {expected}.",
            "'{param}' 매개변수의 값이 올바르지 않습니다. 필요한 값: {expected}.",
            "参数“{param}”的值无效，应为：{expected}。",
        ),
    ),
    "invalid_json": (
        Words(
            "The body is not valid JSON.",
            "본문이 올바른 JSON이 아닙니다.",
            "请求体不是有效的 JSON。",
        ),
        Words(
            "The body is not valid JSON: {reason}.",
            "본문이 올바른 JSON이 아닙니다: {reason}.",
            "请求体不是有效的 JSON：{reason}。",
        ),
        Words(
            "The body must be a JSON object.",
            "본문은 JSON 객체여야 합니다.",
            "请求体必须是一个 JSON 对象。",
        ),
        Words(
            "The body has too many parts.",
            "본문에 항목이 너무 많습니다.",
            "请求体中的内容项过多。",
        ),
        Words(
            "The body is nested too deeply.",
            "본문의 중첩이 너무 깊습니다.",
            "请求体嵌套层级过深。",
        ),
    ),
    "missing_required_parameter": (
        Words(
            "A required parameter is missing.",
            "필수 매개변수가 없습니다.",
            "缺少必需的参数。",
        ),
        Words(
            "Missing required parameter: '{param}'.",
            "필수 매개변수가 없습니다: '{param}'.",
            "缺少必需的参数：“{param}”。",
        ),
    ),
    "unsupported_parameter": (
        Words(
            "A parameter is not supported by this model.",
            "이 모델이 지원하지 않는 매개변수입니다.",
            "该模型不支持某个参数。",
        ),
        Words(
            "'{param}' is not supported by this model: {why}.",
            "이 모델은 '{param}' 매개변수를 지원하지 않습니다: {why}.",
            "该模型不支持参数“{param}”：{why}。",
        ),
        Words(
            "'store' is not supported: this organisation keeps no responses.",
            "'store' 매개변수를 지원하지 않습니다. 이 조직은 응답을 보관하지 않습니다.",
            "不支持参数“store”：该组织不保存响应。",
        ),
        Words(
            "'stream' is not supported: a kept response is told at once.",
            "'stream' 매개변수를 지원하지 않습니다. 보관된 응답은 한 번에 전달됩니다.",
            "不支持参数“stream”：已保存的响应会一次性返回。",
        ),
        Words(
            "Searches by the model {name} have no price here.",
            "{name} 모델의 검색에는 아직 가격이 없습니다.",
            "模型 {name} 的搜索在此处尚无价格。",
        ),
    ),
}

_PROVIDERS: Final[Mapping[str, tuple[Words, ...]]] = {
    "provider_error": (
        Words(
            "The provider of this model failed to answer.",
            "이 모델의 Provider가 응답하지 못했습니다.",
            "该模型的服务商未能作出回答。",
        ),
        Words(
            "The provider of this model cannot serve the request at the moment.",
            "이 모델의 Provider가 현재 요청을 처리할 수 없습니다.",
            "该模型的服务商目前无法处理此请求。",
        ),
        Words(
            "The provider of this model does not offer it at the moment.",
            "현재 이 모델의 Provider가 해당 모델을 제공하지 않습니다.",
            "该模型的服务商目前不提供此模型。",
        ),
        Words(
            "The provider could not be reached or broke off.",
            "Provider에 연결할 수 없거나 연결이 끊어졌습니다.",
            "无法连接到服务商，或连接已中断。",
        ),
        Words(
            "The provider's stream broke off.",
            "Provider의 스트림이 중간에 끊어졌습니다.",
            "服务商的流已中断。",
        ),
        Words(
            "The provider's stream ended before any output.",
            "Provider의 스트림이 출력 없이 종료되었습니다.",
            "服务商的流在产生任何输出之前就结束了。",
        ),
    ),
    "provider_timeout": (
        Words(
            "The provider did not answer in time.",
            "Provider가 제한 시간 안에 응답하지 않았습니다.",
            "服务商未在规定时间内回答。",
        ),
    ),
    "provider_rate_limited": (
        Words(
            "The provider of this model is receiving too many requests; try again shortly.",
            "이 모델의 Provider에 요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.",
            "该模型的服务商收到的请求过多；请稍后重试。",
        ),
    ),
    "provider_overloaded": (
        Words(
            "The provider of this model is overloaded; try again shortly.",
            "이 모델의 Provider가 과부하 상태입니다. 잠시 후 다시 시도해 주세요.",
            "该模型的服务商已过载；请稍后重试。",
        ),
    ),
    "invalid_request_error": (
        Words(
            "The provider of this model refused the request.",
            "이 모델의 Provider가 요청을 거절했습니다.",
            "该模型的服务商拒绝了此请求。",
        ),
    ),
    "content_policy_violation": (
        Words(
            "The provider of this model refused the request for its content.",
            "이 모델의 Provider가 콘텐츠 정책을 이유로 요청을 거절했습니다.",
            "该模型的服务商因内容政策拒绝了此请求。",
        ),
    ),
}

_NO_RESPONSE = (
    Words(
        "There is no such response.",
        "해당 응답이 없습니다.",
        "没有这个响应。",
    ),
    Words(
        "There is no response {response_id}.",
        "응답 {response_id}이(가) 없습니다.",
        "没有响应 {response_id}。",
    ),
    Words(
        "There is no response {response_id}: this organisation keeps no responses.",
        "응답 {response_id}이(가) 없습니다. 이 조직은 응답을 보관하지 않습니다.",
        "没有响应 {response_id}：该组织不保存响应。",
    ),
)
_KEPT: Final[Mapping[str, tuple[Words, ...]]] = {
    "response_not_found": _NO_RESPONSE,
    "previous_response_not_found": _NO_RESPONSE,
    "previous_response_too_long": (
        Words(
            "What the response continues is too long to be sent again.",
            "응답이 이어 가는 대화가 너무 길어 다시 보낼 수 없습니다.",
            "该响应所延续的对话过长，无法再次发送。",
        ),
        Words(
            "What {response_id} continues is too long to be sent again.",
            "{response_id} 응답이 이어 가는 대화가 너무 길어 다시 보낼 수 없습니다.",
            "{response_id} 所延续的对话过长，无法再次发送。",
        ),
    ),
}

CALLS: Final[Mapping[str, tuple[Words, ...]]] = {
    **_MONEY,
    **_KEYS_AND_LIMITS,
    **_MODELS,
    **_REQUESTS,
    **_PROVIDERS,
    **_KEPT,
}
