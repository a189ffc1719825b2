"""The rules of Anthropic that tie messages, tools, thinking and models together."""

from base64 import b64encode
from hashlib import blake2b
from typing import Any

from bursar.simulator.anthropic_messages.errors import invalid
from bursar.simulator.anthropic_messages.fields import SAMPLING, VERSION_WITH_SAMPLING
from bursar.simulator.catalogue import Model

BREAKPOINTS_MAX = 4


def sign(thinking: str) -> str:
    """The signature of a thinking block; a block that comes back changed is refused."""
    return b64encode(blake2b(b"simulated thinking\n" + thinking.encode(), digest_size=48).digest()).decode()


def blocks(content: Any) -> list[dict[str, Any]]:
    """Content as a list of blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def check_version(messages: list[dict[str, Any]], version: str) -> None:
    """What API version 2026-10-21 refuses and the one before let pass."""
    if version == VERSION_WITH_SAMPLING:
        return
    for at, message in enumerate(messages):
        for number, block in enumerate(blocks(message["content"])):
            where = f"messages.{at}.content.{number}"
            if block["type"] == "document" and message["role"] == "assistant":
                raise invalid(f"{where}: `document` blocks are not allowed in `assistant` messages")
            if block["type"] == "text" and message["role"] == "user" and block.get("citations"):
                raise invalid(f"{where}.text.citations: citations are not allowed in `user` messages")


def check_messages(messages: list[dict[str, Any]], model: Model) -> None:
    """Roles, empty content, prefill, and tool use answered at once."""
    _check_roles(messages, model)
    for at, message in enumerate(messages):
        content = blocks(message["content"] or [])
        optional = at == len(messages) - 1 and message["role"] == "assistant"
        if not optional and not content:
            raise invalid(
                f"messages.{at}: all messages must have non-empty content except for the optional final "
                f"assistant message"
            )
        for number, block in enumerate(content):
            _check_block(block, f"messages.{at}.content.{number}", message["role"])
    _check_prefill(messages[-1], model)
    _check_tool_turns(_combined(messages))


def _check_prefill(last: dict[str, Any], model: Model) -> None:
    if last["role"] != "assistant":
        return
    if not model.prefill:
        raise invalid(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    final = blocks(last["content"])
    if final and final[-1]["type"] == "text" and final[-1]["text"] != final[-1]["text"].rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")


def _check_roles(messages: list[dict[str, Any]], model: Model) -> None:
    for at, message in enumerate(messages):
        if message["role"] != "system":
            continue
        if not model.system_turns:
            raise invalid(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                'parameter, not "system" as an input message role.'
            )
        if at == 0 or messages[at - 1]["role"] != "user":
            raise invalid(f"messages.{at}: a `system` message must immediately follow a `user` message.")
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')


def _check_block(block: dict[str, Any], where: str, role: str) -> None:
    match block["type"]:
        case "text" if not block["text"]:
            raise invalid("messages: text content blocks must be non-empty")
        case "text" if block.get("cache_control") and not block["text"].strip():
            raise invalid(f"{where}.text: cache_control cannot be set for empty text blocks")
        case "thinking" if role == "assistant" and block["signature"] != sign(block["thinking"]):
            raise invalid(f"{where}: Invalid `signature` in `thinking` block")
        case "tool_use" | "thinking" | "redacted_thinking" if role != "assistant":
            raise invalid(f"{where}: `{block['type']}` blocks can only be in `assistant` messages")
        case "tool_result" if role != "user":
            raise invalid(f"{where}: `tool_result` blocks can only be in `user` messages")
        case _:
            return


def _combined(messages: list[dict[str, Any]]) -> list[tuple[int, str, list[dict[str, Any]]]]:
    """Consecutive turns of one role become one, as the API does: (index, role, blocks)."""
    turns: list[tuple[int, str, list[dict[str, Any]]]] = []
    for at, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if turns and turns[-1][1] == message["role"]:
            turns[-1][2].extend(blocks(message["content"]))
        else:
            turns.append((at, message["role"], list(blocks(message["content"]))))
    return turns


def _check_tool_turns(turns: list[tuple[int, str, list[dict[str, Any]]]]) -> None:
    asked: list[str] = []
    asked_at = 0
    for at, role, content in turns:
        if role == "assistant":
            asked, asked_at = [block["id"] for block in content if block["type"] == "tool_use"], at
            if len(set(asked)) != len(asked):
                raise invalid(f"messages.{at}: `tool_use` ids must be unique")
            continue
        answered: list[str] = []
        for number, block in enumerate(content):
            if block["type"] != "tool_result":
                continue
            if block["tool_use_id"] not in asked:
                raise invalid(
                    f"messages.{at}.content.{number}: unexpected `tool_use_id` found in `tool_result` "
                    f"blocks: {block['tool_use_id']}. Each `tool_result` block must have a corresponding "
                    f"`tool_use` block in the previous message."
                )
            if number == len(answered):
                answered.append(block["tool_use_id"])
        _check_answered(asked, answered, asked_at)
        asked = []
    _check_answered(asked, [], asked_at)


def _check_answered(asked: list[str], answered: list[str], at: int) -> None:
    missing = [one for one in asked if one not in answered]
    if missing:
        raise invalid(
            f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block "
            f"in the next message."
        )


def check_options(raw: dict[str, Any], model: Model) -> None:
    """Sampling, thinking, limits and tools for this model."""
    if raw.get("max_tokens", 0) > model.output_max:
        raise invalid(
            f"max_tokens: {raw['max_tokens']} > {model.output_max}, which is the maximum allowed number of "
            f"output tokens for {model.name}"
        )
    for stop in raw.get("stop_sequences") or ():
        if not stop.strip():
            raise invalid("stop_sequences: each stop sequence must contain non-whitespace")
    _check_sampling(raw, model)
    _check_thinking(raw, model)
    _check_tools(raw)
    _check_breakpoints(raw)


def _check_sampling(raw: dict[str, Any], model: Model) -> None:
    if not model.sampling:
        for name in SAMPLING:
            if raw.get(name) is not None and not (name != "top_k" and raw[name] == 1):
                raise invalid(f"`{name}` is deprecated for this model.")
    elif (
        raw.get("temperature") is not None
        and raw.get("top_p") is not None
        and model.name.startswith("claude-")
    ):
        raise invalid(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        )


def _check_thinking(raw: dict[str, Any], model: Model) -> None:
    thinking = raw.get("thinking") or {}
    kind = thinking.get("type", "disabled")
    if kind == "adaptive" and not model.adaptive_thinking:
        raise invalid("adaptive thinking is not supported on this model")
    if kind == "enabled" and not model.manual_thinking:
        raise invalid(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    if kind == "enabled" and "max_tokens" in raw and thinking["budget_tokens"] >= raw["max_tokens"]:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if kind not in ("enabled", "adaptive"):
        return
    if raw.get("temperature") not in (None, 1):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if raw.get("top_k") is not None:
        raise invalid("`top_k` must be unset when thinking is enabled.")
    if (raw.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if kind == "enabled":
        _check_thinking_kept(raw["messages"])


def _check_thinking_kept(messages: list[dict[str, Any]]) -> None:
    """With manual thinking, an assistant turn whose tools are being answered starts with its thinking."""
    last = max((at for at, message in enumerate(messages) if message["role"] == "assistant"), default=None)
    if last is None:
        return
    content = blocks(messages[last]["content"])
    uses_tools = any(block["type"] == "tool_use" for block in content)
    if uses_tools and content[0]["type"] not in ("thinking", "redacted_thinking"):
        raise invalid(
            f"messages.{last}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{content[0]['type']}`. When `thinking` is enabled, a final `assistant` message must start "
            f"with a thinking block."
        )


def _check_tools(raw: dict[str, Any]) -> None:
    tools = raw.get("tools") or []
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(set(names)) != len(names):
        raise invalid("tools: Tool names must be unique.")
    wanted = raw.get("tool_choice")
    if wanted and not tools:
        raise invalid("tool_choice may only be specified while providing tools.")
    if wanted and wanted["type"] == "tool" and wanted["name"] not in names:
        raise invalid(f"Tool '{wanted['name']}' not found in provided tools")
    uses = any(
        block["type"] == "tool_use" for message in raw["messages"] for block in blocks(message["content"])
    )
    if uses and not tools:
        raise invalid("Requests which include `tool_use` or `tool_result` blocks must define tools.")


def _check_breakpoints(raw: dict[str, Any]) -> None:
    marked = [block["cache_control"] for block in in_order(raw) if block.get("cache_control")]
    if len(marked) > BREAKPOINTS_MAX:
        raise invalid(
            f"A maximum of {BREAKPOINTS_MAX} blocks with cache_control may be provided. Found {len(marked)}."
        )
    short_seen = False
    for mark in marked:
        if mark.get("ttl") == "1h" and short_seen:
            raise invalid(
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
            )
        short_seen = short_seen or mark.get("ttl", "5m") == "5m"


def in_order(raw: dict[str, Any]) -> list[dict[str, Any]]:
    """All blocks of the prompt in caching order: tools, system, messages."""
    ordered: list[dict[str, Any]] = [*(raw.get("tools") or ()), *blocks(raw.get("system") or [])]
    for message in raw["messages"]:
        ordered += blocks(message["content"])
    return ordered
