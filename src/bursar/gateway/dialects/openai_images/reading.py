"""OpenAI's image generations: reading requests.

Source: the public OpenAI OpenAPI document, schema `CreateImageRequest`.
"""

from collections.abc import Mapping
from typing import Any, Final

from bursar.core.chat import unsupported
from bursar.core.estimate import tokens_of_text
from bursar.core.service import Service
from bursar.gateway.dialects import Asked, Call
from bursar.gateway.dialects.bodies import Check, check_model, of_type, parse_object, require, within, wrong
from bursar.gateway.dialects.openai_images.pictures import PIXELS_MAX, counts, pixels, variants

DIALECT: Final = "openai_images"
ENDPOINT: Final = "/v1/images/generations"
PLAINLY_ASKED: Final = Asked(ENDPOINT)

PROMPT_CHARACTERS_MAX: Final = 32_000
"""Of the GPT image models, as documented; the others take less and say so."""
N_MAX: Final = 10
PARTIAL_IMAGES_MAX: Final = 3
PERCENT_MAX: Final = 100
PROMPT_TOKENS: Final = 16
"""What models put around a prompt."""
WORD_CHARACTERS_MAX: Final = 64


def read(body: bytes, asked: Asked = PLAINLY_ASKED) -> Call:
    """Check a request body. Raises `BadRequest` (422) naming the property that is wrong."""
    raw = parse_object(body)
    check(raw)
    return Call(
        dialect=DIALECT,
        endpoint=asked.endpoint,
        model=raw["model"],
        stream=raw.get("stream") is True,
        include_usage=True,
        max_tokens=0,
        n=raw.get("n") or 1,
        input_tokens=PROMPT_TOKENS + tokens_of_text(raw["prompt"]),
        end_user=raw.get("user"),
        tools_present=False,
        raw=raw,
        scope_class="image",
        service=Service.IMAGES,
        counts=counts(raw),
        variants=variants(raw),
    )


def check(raw: Mapping[str, Any]) -> None:
    """Types and ranges of what is known; unknown properties are left to whoever serves the request."""
    require(raw, "model", "prompt")
    for name, value in raw.items():
        checker = _CHECKS.get(name)
        if checker is not None and value is not None:
            checker(name, value)
    number = raw.get("n") or 1
    if raw.get("stream") and number > 1:
        raise unsupported("n", "pictures are streamed one at a time; leave out 'stream' for several")
    if raw.get("partial_images") and not raw.get("stream"):
        raise unsupported("partial_images", "only a stream has them; set 'stream' to true")
    if number * pixels(raw.get("size")) > PIXELS_MAX:
        raise wrong("size", f"at most {PIXELS_MAX} pixels, all pictures together")


def _check_prompt(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= PROMPT_CHARACTERS_MAX:
        raise wrong(name, f"a string of 1 to {PROMPT_CHARACTERS_MAX} characters")


def _check_word(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= WORD_CHARACTERS_MAX:
        raise wrong(name, f"a string of 1 to {WORD_CHARACTERS_MAX} characters")


def _check_format(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in {"url", "b64_json"}:
        raise wrong(name, "'url' or 'b64_json'")


_CHECKS: Final[Mapping[str, Check]] = {
    "model": check_model,
    "prompt": _check_prompt,
    "n": within(1, N_MAX, int),
    "quality": _check_word,
    "size": _check_word,
    "response_format": _check_format,
    "output_format": _check_word,
    "output_compression": within(0, PERCENT_MAX, int),
    "stream": of_type(bool, "a boolean"),
    "partial_images": within(0, PARTIAL_IMAGES_MAX, int),
    "moderation": _check_word,
    "background": _check_word,
    "style": _check_word,
    "user": of_type(str, "a string"),
}
