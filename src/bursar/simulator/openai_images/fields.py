"""What OpenAI accepts in an image generation request.

Source: openai/openai-openapi, schema CreateImageRequest, with the limits its descriptions state.
"""

from bursar.simulator.checks import Check, boolean, choice, integer, nullable, record, text

FIELDS: dict[str, Check] = {
    "model": text(shortest=1),
    "prompt": text(shortest=1, longest=32_000),
    "n": nullable(integer(1, 10)),
    "quality": nullable(choice("standard", "hd", "low", "medium", "high", "auto")),
    "response_format": nullable(choice("url", "b64_json")),
    "output_format": nullable(choice("png", "jpeg", "webp")),
    "output_compression": nullable(integer(0, 100)),
    "stream": nullable(boolean),
    "partial_images": nullable(integer(0, 3)),
    "size": nullable(text(shortest=1)),
    "moderation": nullable(choice("low", "auto")),
    "background": nullable(choice("transparent", "opaque", "auto")),
    "style": nullable(choice("vivid", "natural")),
    "user": text(),
}
IMAGE = record(FIELDS, required=("prompt",))
COMPATIBLE = record(
    {**FIELDS, "quality": nullable(text()), "style": nullable(text())}, required=("prompt",), closed=False
)
ONLY_DRAWN_WITH_TOKENS = ("output_format", "output_compression", "stream", "partial_images", "background")
ONLY_DRAWN_WITHOUT = ("response_format", "style")
SIZES = {
    "dall-e-2": ("256x256", "512x512", "1024x1024"),
    "dall-e-3": ("1024x1024", "1792x1024", "1024x1792"),
}
