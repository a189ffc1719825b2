"""Any server that speaks OpenAI's chat dialect at its own base URL and has no type of its own here."""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.dispositions import forwarded, translated
from bursar.adapters.providers.openai_chat import ChatServer
from bursar.adapters.providers.openai_chat.style import OPTIONS, Style
from bursar.adapters.providers.openai_properties import PROPERTIES

DISPOSITION: Mapping[str, Rule] = {
    **dict.fromkeys(PROPERTIES, forwarded("the server decides what it knows")),
    "model": translated("the deployment's own model name"),
    "max_completion_tokens": translated("lowered when the wallet covers less"),
    "max_tokens": translated("lowered when the wallet covers less"),
    "stream_options": translated("see its parts"),
    "stream_options.include_usage": translated("always on upstream; the usage is passed on when asked for"),
}
STYLE = Style(options={**OPTIONS, "top_k": "top_k"})


class OpenAICompatible(ChatServer):
    """Provider type `openai_compatible`: OpenAI's dialect, older name of the output bound."""

    kind = "openai_compatible"
    style = STYLE
    dispositions = DISPOSITION
