"""Every provider type there is: the one list that names the vendors."""

from bursar.adapters.providers import Provider
from bursar.adapters.providers.anthropic import Anthropic
from bursar.adapters.providers.azure_openai import AzureOpenAI
from bursar.adapters.providers.deepseek import DeepSeek
from bursar.adapters.providers.gemini import Gemini
from bursar.adapters.providers.mistral import Mistral
from bursar.adapters.providers.openai import OpenAI
from bursar.adapters.providers.openai_compatible import servers
from bursar.adapters.providers.openrouter import OpenRouter
from bursar.adapters.providers.xai import XAI
from bursar.adapters.providers.zhipu import Zhipu


def provider_adapters() -> dict[str, Provider]:
    """Every adapter, by the kind its providers are stored under."""
    adapters: list[Provider] = [
        OpenAI(),
        Anthropic(),
        Gemini(),
        XAI(),
        Mistral(),
        DeepSeek(),
        Zhipu("zhipu"),
        Zhipu("zai"),
        OpenRouter(),
        AzureOpenAI(),
        *servers(),
    ]
    return {adapter.kind: adapter for adapter in adapters}
