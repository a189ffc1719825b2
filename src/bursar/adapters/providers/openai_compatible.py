"""Any server that speaks OpenAI's chat dialect at its own base URL: vLLM, Ollama, OpenRouter, DeepSeek."""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.dispositions import forwarded
from bursar.adapters.providers.openai import DISPOSITION as OPENAI
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_properties import PROPERTIES

_SERVERS_OWN = forwarded("the server decides what it knows")
DISPOSITION: Mapping[str, Rule] = {
    **dict.fromkeys(PROPERTIES, _SERVERS_OWN),
    **{
        path: OPENAI[path]
        for path in (
            "model",
            "max_completion_tokens",
            "max_tokens",
            "stream_options",
            "stream_options.include_usage",
        )
    },
}


class OpenAICompatible(OpenAI):
    """Provider type `openai_compatible`: OpenAI's dialect, older name of the output bound."""

    kind = "openai_compatible"
    dispositions = DISPOSITION
    output_bound = "max_tokens"
