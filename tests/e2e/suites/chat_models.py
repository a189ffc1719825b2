"""LangChain's standard integration suite for chat models, through its own clients, against a running Bursar.

Run by `test_langchain.py` in an environment of its own: address, key and models come from the environment.
What its tests fetch from elsewhere (pictures, documents) is left out; other tests here send such things.
"""

import os
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

ADDRESS, KEY = os.environ["BURSAR_ADDRESS"], os.environ["BURSAR_KEY"]
MODELS = dict(item.split("=") for item in os.environ["BURSAR_MODELS"].split(","))


class OpenAIClient(ChatModelIntegrationTests):
    model_name: str
    supports_json_mode = True

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.model_name, "api_key": KEY, "base_url": f"{ADDRESS}/v1", "stream_usage": True}


class AnthropicClient(ChatModelIntegrationTests):
    model_name: str

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.model_name, "api_key": KEY, "base_url": ADDRESS, "max_tokens": 512}


class TestOpenAIClientAtOpenAI(OpenAIClient):
    model_name = MODELS["openai"]


class TestOpenAIClientAtACompatibleServer(OpenAIClient):
    model_name = MODELS["openai_compatible"]


class TestOpenAIClientAtAnthropic(OpenAIClient):
    model_name = MODELS["anthropic"]

    @pytest.mark.xfail(strict=True, reason="Anthropic's answers follow a schema or none: refused by name.")
    def test_json_mode(self, model: BaseChatModel) -> None:
        super().test_json_mode(model)

    @pytest.mark.xfail(strict=True, reason="Anthropic's messages name no participants: refused by name.")
    def test_message_with_name(self, model: BaseChatModel) -> None:
        super().test_message_with_name(model)


class TestAnthropicClientAtAnthropic(AnthropicClient):
    model_name = MODELS["anthropic"]


class TestAnthropicClientAtOpenAI(AnthropicClient):
    model_name = MODELS["openai"]


class TestOpenAIClientAtGemini(OpenAIClient):
    model_name = MODELS["gemini"]

    @pytest.mark.xfail(strict=True, reason="Gemini's contents name no participants: refused by name.")
    def test_message_with_name(self, model: BaseChatModel) -> None:
        super().test_message_with_name(model)

    @pytest.mark.xfail(
        strict=True, reason="Gemini cannot be kept from calling several tools: refused by name."
    )
    def test_structured_output_pydantic_2_v1(self, model: BaseChatModel) -> None:
        super().test_structured_output_pydantic_2_v1(model)


class TestAnthropicClientAtGemini(AnthropicClient):
    model_name = MODELS["gemini"]
