"""Callers who write down what they saw: the other side of every promise about the books."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from gateway_stack import KEY, MODELS

INPUT_TOKENS: Final = 20
"""Fewer than the words of `ask` are estimated at, so that no sale exceeds its hold."""
OUTPUT_TOKENS: Final = 40
SALE: Final = 432_000
"""Nano-USD of one answer: 20 tokens at USD 2.40 and 40 at 9.60 a million."""
HOLD_MAX: Final = 600_000
"""More than any of these requests holds: 70 tokens at USD 3.00 and 40 at 9.60 a million."""
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
RETRY_S: Final = 0.02
LEAVE_S_MAX: Final = 0.15


@dataclass(kw_only=True)
class Seen:
    """One request as its caller saw it. `tokens`: chunks with text in them that arrived."""

    streamed: bool
    status: int = 0
    request_id: str = ""
    retry_after: str | None = None
    cost: str | None = None
    tokens: int = 0
    is_complete: bool = False
    body: str = ""
    trouble: str = ""
    has_left: bool = False


def ask(
    *,
    stream: bool,
    script: str = "",
    model: str = MODELS["openai"],
    max_tokens: int = OUTPUT_TOKENS,
    output_tokens: int = OUTPUT_TOKENS,
) -> dict[str, Any]:
    """A request whose answer has a known size; `script` adds words for the simulator."""
    words = f"[[sim: input_tokens={INPUT_TOKENS} output_tokens={output_tokens} {script}]]"
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": words}],
        "max_tokens": max_tokens,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


async def call(
    session: aiohttp.ClientSession, url: str, body: dict[str, Any], seen: Seen | None = None
) -> Seen:
    """Send one request; what comes back tells whatever happened to it. `seen` can be watched meanwhile."""
    seen = seen or Seen(streamed=bool(body.get("stream")))
    headers = {"authorization": f"Bearer {KEY}"}
    try:
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
            seen.status = answer.status
            seen.request_id = answer.headers.get("x-request-id", "")
            seen.retry_after = answer.headers.get("retry-after")
            if answer.status == 200 and seen.streamed:
                await _read_stream(answer, seen)
            else:
                seen.body = await answer.text()
                seen.cost = answer.headers.get("x-bursar-cost")
                seen.is_complete = answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        seen.trouble = repr(error)
    return seen


async def _read_stream(answer: aiohttp.ClientResponse, seen: Seen) -> None:
    async for line in answer.content:
        if not line.startswith(b"data: "):
            continue
        if line.strip() == b"data: [DONE]":
            seen.is_complete = True
            return
        event = json.loads(line[6:])
        if "error" in event:
            seen.trouble = str(event["error"])
        if event.get("choices") and event["choices"][0]["delta"].get("content"):
            seen.tokens += 1
        if event.get("usage"):
            seen.cost = event["usage"].get("cost")


@dataclass(kw_only=True)
class Crowd:
    """Callers in loops, each asking again as soon as it was answered. `seen` is in order of asking.

    `leaving`: the part of them, from 0 to 1, that hang up before the end.
    """

    urls: Callable[[], list[str]]
    dice: random.Random
    leaving: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    is_over: bool = False

    def complete(self) -> list[Seen]:
        return [one for one in self.seen if one.is_complete]

    async def call_for_ever(self, session: aiohttp.ClientSession) -> None:
        while not self.is_over:
            urls = self.urls()
            if not urls:
                await asyncio.sleep(RETRY_S)
                continue
            stream = self.dice.random() < 0.4
            script = f"slow_ms_per_event={self.dice.choice((0, 1, 5))}" if stream else ""
            if not stream and self.dice.random() < 0.5:
                script = f"delay_ms={self.dice.randrange(80)}"
            kind = self.dice.choice(("openai", "anthropic"))
            one = Seen(streamed=stream)
            self.seen.append(one)
            body = ask(stream=stream, script=script, model=MODELS[kind])
            asking = call(session, self.dice.choice(urls), body, one)
            if self.dice.random() < self.leaving:
                await self.leave(asking, one)
            else:
                await asking
            if not one.is_complete:
                await asyncio.sleep(RETRY_S)

    async def leave(self, asking: Coroutine[Any, Any, Seen], one: Seen) -> None:
        """Hang up a little later, unless the answer is there."""
        one.has_left = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self.dice.uniform(0, LEAVE_S_MAX)):
                await asking
                one.has_left = False


@asynccontextmanager
async def crowd(
    urls: Callable[[], list[str]], dice: random.Random, *, callers: int, leaving: float = 0.0
) -> AsyncIterator[Crowd]:
    """Callers at work while the block lasts; at its end each hears its last answer out."""
    people = Crowd(urls=urls, dice=dice, leaving=leaving)
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        tasks = [asyncio.create_task(people.call_for_ever(session)) for _ in range(callers)]
        try:
            yield people
        finally:
            people.is_over = True
            await asyncio.gather(*tasks)
