"""Whole answers in OpenAI's chat dialect, read into the canonical form.

Source: OpenAI's API reference, `ChatCompletion`; the fields that carry reasoning (`reasoning_content`,
`reasoning`, `thinking_blocks`, content in chunks) are those of the servers that speak it too.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from bursar.adapters.providers import Attempt, Deployment, FailureKind, ProviderFailure, broken_answer
from bursar.adapters.providers.failures import FOUND_IN_STREAM, classify, error_of
from bursar.adapters.providers.openai_chat.details import thoughts_in
from bursar.core.chat import ChatAnswer, Finish, Text, Thinking, ToolCall

FINISH: Mapping[str, Finish] = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "length": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.CONTENT_FILTER,
    "sensitive": Finish.CONTENT_FILTER,
}
"""What servers say (Mistral's `model_length`, Together's `eos`, Zhipu's `sensitive`); anything else: stop."""
BROKEN: Mapping[str, FailureKind] = {
    "error": "server",
    "network_error": "server",
    "insufficient_system_resource": "overloaded",
}
"""Finish reasons that are failures: Mistral's and OpenRouter's, Zhipu's, DeepSeek's."""
_NO_ATTEMPT = Attempt(
    deployment=Deployment(model="", provider_model="", base_url="", output_tokens_max=1), secret=""
)
NO_CHOICES = "The provider's answer has no choices."


def read_completion(body: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The completion and its first choice. Raises `ProviderFailure` when the body is none."""
    try:
        completion = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken_answer("The provider's answer is not JSON.") from None
    if not isinstance(completion, dict):
        raise broken_answer("The provider's answer is not an object.")
    if completion.get("error"):
        raise _told(completion)
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise broken_answer(NO_CHOICES)
    return completion, choices[0]


def _told(completion: Mapping[str, Any]) -> ProviderFailure:
    """The failure an error of status 200 tells, without its words: nothing here says what is private."""
    said = replace(error_of(completion), message="", param=None)
    return classify(said, FOUND_IN_STREAM, {}, _NO_ATTEMPT)


def answer_of(completion: Mapping[str, Any], choice: Mapping[str, Any]) -> ChatAnswer:
    """The canonical answer, its usage left out."""
    message = choice.get("message")
    if not isinstance(message, dict):
        raise broken_answer(NO_CHOICES)
    identity = text_at(completion, "id")
    texts, thoughts = content_of(message.get("content"))
    parts: list[Text | Thinking | ToolCall] = [*_thoughts(message, thoughts)]
    if texts:
        parts.append(Text(text=texts))
    parts += _calls(message, identity)
    refusal = text_at(message, "refusal") or None
    called = any(isinstance(part, ToolCall) for part in parts)
    tier = completion.get("service_tier")
    return ChatAnswer(
        id=identity,
        model=text_at(completion, "model"),
        parts=tuple(parts),
        finish=finish_of(choice.get("finish_reason"), called=called, refused=refusal is not None),
        usage=None,
        refusal=refusal,
        service_tier=tier if isinstance(tier, str) else None,
    )


def finish_of(reason: object, *, called: bool, refused: bool) -> Finish:
    """Why it ended. Raises `ProviderFailure` for reasons that are failures.

    `called`: servers say `stop` after a call that the caller insisted on. `refused`: OpenAI says `stop`
    after the model declined in `refusal`.
    """
    word = reason if isinstance(reason, str) else ""
    broken = broken_finish(word)
    if broken is not None:
        raise broken
    finish = FINISH.get(word, Finish.STOP)
    if finish is not Finish.STOP:
        return finish
    if refused:
        return Finish.CONTENT_FILTER
    return Finish.TOOL_CALLS if called else Finish.STOP


def broken_finish(reason: str) -> ProviderFailure | None:
    """The failure that a finish reason stands for: the provider stopped an answer it had begun."""
    kind = BROKEN.get(reason)
    if kind is None:
        return None
    if kind == "overloaded":
        message = "The provider of this model is overloaded; try again shortly."
        return ProviderFailure(
            kind=kind, status=503, code="provider_overloaded", message=message, retryable=True
        )
    return broken_answer("The provider of this model failed in the middle of its answer.")


def content_of(content: object) -> tuple[str, str]:
    """What was said and what was thought; Mistral sends both as chunks of the content."""
    if isinstance(content, str):
        return content, ""
    said, thought = [], []
    for chunk in content if isinstance(content, list) else ():
        if not isinstance(chunk, dict):
            raise broken_answer("The provider's answer holds a malformed part.")
        said.append(text_at(chunk, "text"))
        inner = chunk.get("thinking")
        thought.append(content_of(inner)[0] if isinstance(inner, list | str) else "")
    return "".join(said), "".join(thought)


def reasoning_of(message: Mapping[str, Any]) -> str:
    """Reasoning in plain words, by whatever name."""
    plain = text_at(message, "reasoning_content") or text_at(message, "reasoning")
    return plain or "".join(thought.text for thought in thoughts_in(message))


def blocks_of(message: Mapping[str, Any]) -> list[Thinking]:
    """Reasoning as its maker signed it, where a gateway hands that on, by either name."""
    blocks = message.get("thinking_blocks")
    return thoughts_in(message) or [
        Thinking(redacted=text_at(block, "data"))
        if block.get("type") == "redacted_thinking"
        else Thinking(text=text_at(block, "thinking"), signature=text_at(block, "signature"))
        for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict)
    ]


def _thoughts(message: Mapping[str, Any], in_content: str) -> list[Thinking]:
    blocks = blocks_of(message)
    if blocks:
        return blocks
    text = reasoning_of(message) or in_content
    return [Thinking(text=text)] if text else []


def _calls(message: Mapping[str, Any], identity: str) -> list[ToolCall]:
    listed = message.get("tool_calls")
    calls = [
        ToolCall(
            id=text_at(call, "id") or call_id(identity, position),
            name=text_at(call["function"], "name"),
            arguments=arguments_of(call["function"]) or "{}",
        )
        for position, call in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(call, dict) and isinstance(call.get("function"), dict)
    ]
    function = message.get("function_call")
    if not calls and isinstance(function, dict):
        name, arguments = text_at(function, "name"), arguments_of(function) or "{}"
        calls.append(ToolCall(id=call_id(identity, 0), name=name, arguments=arguments))
    return calls


def call_id(identity: str, position: int) -> str:
    """An id for a call that the server left without one; results must be able to name it."""
    return f"call_{identity}_{position}"


def arguments_of(function: Mapping[str, Any]) -> str:
    """JSON text; some servers send the object itself."""
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return orjson.dumps(arguments).decode() if isinstance(arguments, dict) else ""


def text_at(source: Mapping[str, Any], name: str) -> str:
    """The string at `name`, empty when there is none."""
    value = source.get(name)
    return value if isinstance(value, str) else ""
