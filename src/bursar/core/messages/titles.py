"""Names of HTTP statuses; the English ones are the standard library's."""

from collections.abc import Mapping
from typing import Final

from bursar.core.messages.words import Words

TITLES: Final[Mapping[int, Words]] = {
    400: Words("Bad Request", "잘못된 요청", "错误的请求"),
    401: Words("Unauthorized", "인증 필요", "未认证"),
    402: Words("Payment Required", "결제 필요", "需要付款"),
    403: Words("Forbidden", "권한 없음", "禁止访问"),
    404: Words("Not Found", "찾을 수 없음", "未找到"),
    405: Words("Method Not Allowed", "허용되지 않는 메서드", "不允许的方法"),
    408: Words("Request Timeout", "요청 시간 초과", "请求超时"),
    409: Words("Conflict", "충돌", "冲突"),
    413: Words("Content Too Large", "본문이 너무 큼", "内容过大"),
    415: Words("Unsupported Media Type", "지원하지 않는 미디어 형식", "不支持的媒体类型"),
    422: Words("Unprocessable Content", "처리할 수 없는 요청", "无法处理的内容"),
    429: Words("Too Many Requests", "요청이 너무 많음", "请求过多"),
    500: Words("Internal Server Error", "내부 서버 오류", "服务器内部错误"),
    502: Words("Bad Gateway", "잘못된 게이트웨이 응답", "网关错误"),
    503: Words("Service Unavailable", "서비스를 사용할 수 없음", "服务不可用"),
    504: Words("Gateway Timeout", "게이트웨이 시간 초과", "网关超时"),
}
