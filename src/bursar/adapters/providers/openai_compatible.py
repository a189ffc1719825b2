"""Any server that speaks OpenAI's chat dialect at a base URL of its own: vLLM, Ollama, OpenRouter, DeepSeek, …."""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.openai import OpenAI

DISPOSITION: Mapping[str, Rule] = {}


class OpenAICompatible(OpenAI):
    """Provider type `openai_compatible`: OpenAI's dialect, older name of the output bound."""

    kind = "openai_compatible"
    dispositions = DISPOSITION
    output_bound = "max_tokens"
