"""The official SDKs of Python, each asked the same scenarios as `node/ask.mjs` asks those of Node.js.

A scenario answers with text, tool call and usage in the words of no dialect; errors with their HTTP status.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import errors, types

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "celsius": {"type": "integer"}},
    "required": ["city", "celsius"],
    "additionalProperties": False,
}
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
QUESTION = "What is the weather in Lisbon today?"
DESCRIBED = "Looks up the weather."
WRONG_KEY = "llm_sk_wrong"
MAX_TOKENS = 200

Answer = dict[str, Any]
Scenarios = Mapping[str, Callable[[], Answer]]


def ask_all(scenarios: Scenarios) -> dict[str, Answer]:
    """Every scenario's answer, or the status of its error."""
    answers = {}
    for name, ask in scenarios.items():
        try:
            answers[name] = ask()
        except (openai.APIStatusError, anthropic.APIStatusError) as error:
            answers[name] = {"status": error.status_code, "message": str(error)}
        except errors.APIError as error:
            answers[name] = {"status": error.code, "message": str(error)}
    return answers


class OpenAIChat:
    """`client.chat.completions`."""

    def __init__(self, address: str, key: str, model: str) -> None:
        self.model = model
        self.client = openai.OpenAI(api_key=key, base_url=f"{address}/v1", max_retries=0)
        self.wrong = openai.OpenAI(api_key=WRONG_KEY, base_url=f"{address}/v1", max_retries=0)

    def close(self) -> None:
        self.client.close()
        self.wrong.close()

    def scenarios(self) -> Scenarios:
        hello = [{"role": "user", "content": "Hello"}]
        return {
            "plain": lambda: self._read(self._create(messages=[{"role": "user", "content": "Say hello."}])),
            "stream": self._stream,
            "tools": self._tools,
            "image": self._image,
            "schema": self._schema,
            "unknown_model": lambda: dict(
                self.client.chat.completions.create(model="no-such-model", messages=hello)
            ),
            "bad_key": lambda: dict(self.wrong.chat.completions.create(model=self.model, messages=hello)),
        }

    def _create(self, **body: Any) -> Any:
        return self.client.chat.completions.create(model=self.model, max_tokens=MAX_TOKENS, **body)

    @staticmethod
    def _read(answer: Any) -> Answer:
        usage = answer.usage
        text = answer.choices[0].message.content or ""
        return {"text": text, "input": usage.prompt_tokens, "output": usage.completion_tokens}

    def _stream(self) -> Answer:
        body = {"messages": [{"role": "user", "content": "Say hello."}], "stream": True}
        text, usage = "", None
        for chunk in self._create(**body, stream_options={"include_usage": True}):
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            usage = chunk.usage or usage
        assert usage is not None
        told = {"input": usage.prompt_tokens, "output": usage.completion_tokens}
        return {"text": text, **told, "cost": usage.cost}

    def _tools(self) -> Answer:
        function = {"name": "get_weather", "description": DESCRIBED, "parameters": WEATHER}
        tools = [{"type": "function", "function": function}]
        messages: list[Any] = [{"role": "user", "content": QUESTION}]
        said = self._create(messages=messages, tools=tools).choices[0].message
        [call] = said.tool_calls
        messages += [
            said.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"},
        ]
        given = json.loads(call.function.arguments)
        second = self._create(messages=messages, tools=tools)
        return {"name": call.function.name, "given": given, **self._read(second)}

    def _image(self) -> Answer:
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        content = [{"type": "text", "text": "What is this?"}, picture]
        return self._read(self._create(messages=[{"role": "user", "content": content}]))

    def _schema(self) -> Answer:
        wanted = {"name": "weather", "strict": True, "schema": SCHEMA}
        return self._read(
            self._create(
                messages=[{"role": "user", "content": QUESTION}],
                response_format={"type": "json_schema", "json_schema": wanted},
            )
        )


class OpenAIResponses:
    """`client.responses`."""

    def __init__(self, address: str, key: str, model: str) -> None:
        self.model = model
        self.client = openai.OpenAI(api_key=key, base_url=f"{address}/v1", max_retries=0)
        self.wrong = openai.OpenAI(api_key=WRONG_KEY, base_url=f"{address}/v1", max_retries=0)

    def close(self) -> None:
        self.client.close()
        self.wrong.close()

    def scenarios(self) -> Scenarios:
        return {
            "plain": lambda: self._read(self._create(input="Say hello.")),
            "stream": self._stream,
            "tools": self._tools,
            "image": self._image,
            "schema": self._schema,
            "unknown_model": lambda: dict(self.client.responses.create(model="no-such-model", input="Hello")),
            "bad_key": lambda: dict(self.wrong.responses.create(model=self.model, input="Hello")),
        }

    def _create(self, **body: Any) -> Any:
        return self.client.responses.create(model=self.model, max_output_tokens=MAX_TOKENS, **body)

    @staticmethod
    def _read(answer: Any) -> Answer:
        usage = answer.usage
        return {"text": answer.output_text, "input": usage.input_tokens, "output": usage.output_tokens}

    def _stream(self) -> Answer:
        with self.client.responses.stream(
            model=self.model, max_output_tokens=MAX_TOKENS, input="Say hello."
        ) as stream:
            text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            final = stream.get_final_response()
        assert final.usage is not None
        return {**self._read(final), "text": text, "cost": (final.usage.model_extra or {})["cost"]}

    def _tools(self) -> Answer:
        tools = [
            {
                "type": "function",
                "name": "get_weather",
                "description": DESCRIBED,
                "parameters": WEATHER,
                "strict": True,
            }
        ]
        asked: list[Any] = [{"role": "user", "content": QUESTION}]
        first = self._create(input=asked, tools=tools)
        [call] = [item for item in first.output if item.type == "function_call"]
        asked += [item.model_dump(exclude_none=True) for item in first.output]
        asked.append({"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"})
        second = self._create(input=asked, tools=tools)
        return {"name": call.name, "given": json.loads(call.arguments), **self._read(second)}

    def _image(self) -> Answer:
        picture = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"}
        content = [{"type": "input_text", "text": "What is this?"}, picture]
        return self._read(self._create(input=[{"role": "user", "content": content}]))

    def _schema(self) -> Answer:
        wanted = {"type": "json_schema", "name": "weather", "strict": True, "schema": SCHEMA}
        return self._read(self._create(input=QUESTION, text={"format": wanted}))


class AnthropicMessages:
    """`client.messages`."""

    def __init__(self, address: str, key: str, model: str) -> None:
        self.model = model
        self.client = anthropic.Anthropic(api_key=key, base_url=address, max_retries=0)
        self.wrong = anthropic.Anthropic(api_key=WRONG_KEY, base_url=address, max_retries=0)

    def close(self) -> None:
        self.client.close()
        self.wrong.close()

    def scenarios(self) -> Scenarios:
        hello = {"max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": "Hello"}]}
        return {
            "plain": lambda: self._read(self._create({"role": "user", "content": "Say hello."})),
            "stream": self._stream,
            "tools": self._tools,
            "image": self._image,
            "schema": self._schema,
            "unknown_model": lambda: dict(self.client.messages.create(model="no-such-model", **hello)),
            "bad_key": lambda: dict(self.wrong.messages.create(model=self.model, **hello)),
        }

    def _create(self, *messages: Any, **body: Any) -> Any:
        return self.client.messages.create(
            model=self.model, max_tokens=MAX_TOKENS, messages=list(messages), **body
        )

    @staticmethod
    def _read(message: Any) -> Answer:
        usage = message.usage
        cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        return {
            "text": "".join(block.text for block in message.content if block.type == "text"),
            "input": usage.input_tokens + cached,
            "output": usage.output_tokens,
            "cost": (usage.model_extra or {}).get("cost"),
        }

    def _stream(self) -> Answer:
        with self.client.messages.stream(
            model=self.model,
            max_tokens=MAX_TOKENS,
            messages=[{"role": "user", "content": "Say hello."}],
        ) as stream:
            text = "".join(stream.text_stream)
            return {**self._read(stream.get_final_message()), "text": text}

    def _tools(self) -> Answer:
        tools = [{"name": "get_weather", "description": DESCRIBED, "input_schema": WEATHER}]
        question = {"role": "user", "content": QUESTION}
        first = self._create(question, tools=tools)
        [call] = [block for block in first.content if block.type == "tool_use"]
        said = {
            "role": "assistant",
            "content": [block.model_dump(exclude_none=True) for block in first.content],
        }
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
        second = self._create(question, said, {"role": "user", "content": [result]}, tools=tools)
        return {"name": call.name, "given": call.input, **self._read(second)}

    def _image(self) -> Answer:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
        return self._read(self._create({"role": "user", "content": content}))

    def _schema(self) -> Answer:
        wanted = {"format": {"type": "json_schema", "schema": SCHEMA}}
        return self._read(self._create({"role": "user", "content": QUESTION}, output_config=wanted))


class Gemini:
    """`client.models` of google-genai."""

    def __init__(self, address: str, key: str, model: str) -> None:
        self.model = model
        options = types.HttpOptions(base_url=address)
        self.client = genai.Client(api_key=key, http_options=options)
        self.wrong = genai.Client(api_key=WRONG_KEY, http_options=options)

    def close(self) -> None:
        self.client.close()
        self.wrong.close()

    def scenarios(self) -> Scenarios:
        return {
            "plain": lambda: self._read(self._create("Say hello.")),
            "stream": self._stream,
            "tools": self._tools,
            "image": self._image,
            "schema": lambda: self._read(
                self._create(QUESTION, response_mime_type="application/json", response_json_schema=SCHEMA)
            ),
            "unknown_model": lambda: dict(
                self.client.models.generate_content(model="no-such-model", contents="Hello")
            ),
            "bad_key": lambda: dict(self.wrong.models.generate_content(model=self.model, contents="Hello")),
        }

    def _create(self, contents: Any, **config: Any) -> Any:
        wanted = types.GenerateContentConfig(max_output_tokens=MAX_TOKENS, **config)
        return self.client.models.generate_content(model=self.model, contents=contents, config=wanted)

    @staticmethod
    def _read(answer: Any) -> Answer:
        usage = answer.usage_metadata
        return {
            "text": answer.text or "",
            "input": usage.prompt_token_count + (usage.tool_use_prompt_token_count or 0),
            "output": (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        }

    def _stream(self) -> Answer:
        wanted = types.GenerateContentConfig(max_output_tokens=MAX_TOKENS)
        text, last = "", None
        for chunk in self.client.models.generate_content_stream(
            model=self.model, contents="Say hello.", config=wanted
        ):
            text += chunk.text or ""
            last = chunk if chunk.usage_metadata else last
        return {**self._read(last), "text": text}

    def _tools(self) -> Answer:
        function = types.FunctionDeclaration(
            name="get_weather", description=DESCRIBED, parameters_json_schema=WEATHER
        )
        off = types.AutomaticFunctionCallingConfig(disable=True)
        config: dict[str, Any] = {
            "tools": [types.Tool(function_declarations=[function])],
            "automatic_function_calling": off,
        }
        contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]
        first = self._create(contents, **config)
        [call] = first.function_calls
        result = types.FunctionResponse(id=call.id, name=call.name, response={"output": "21 degrees"})
        contents += [
            first.candidates[0].content,
            types.Content(role="user", parts=[types.Part(function_response=result)]),
        ]
        second = self._create(contents, **config)
        return {"name": call.name, "given": call.args, **self._read(second)}

    def _image(self) -> Answer:
        picture = types.Part.from_bytes(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png")
        return self._read(self._create(["What is this?", picture]))


CLIENTS: dict[str, Callable[[str, str, str], Any]] = {
    "openai_chat": OpenAIChat,
    "openai_responses": OpenAIResponses,
    "anthropic_messages": AnthropicMessages,
    "gemini": Gemini,
}
