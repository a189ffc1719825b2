"""Answers of a provider that costs next to nothing, in each dialect. Figures are constant: 12 in, 50 out."""

from typing import Final, NamedTuple

CHUNKS: Final = 50
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


class Canned(NamedTuple):
    """A whole answer as one write, and a stream as the writes it takes, an event each."""

    plain: bytes
    writes: tuple[bytes, ...]


def _plain(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def _writes(events: list[bytes]) -> tuple[bytes, ...]:
    chunks = [b"%x\r\n" % len(event) + event + b"\r\n" for event in events]
    return (STREAM_HEAD + chunks[0], *chunks[1:-1], chunks[-1] + b"0\r\n\r\n")


# OpenAI chat

_USAGE = b'"usage":{"prompt_tokens":12,"completion_tokens":50,"total_tokens":62}'


def _chunk(delta: bytes, finish: bytes = b"null") -> bytes:
    return (
        b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,'
        b'"model":"gpt-4o-mini","choices":[{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":'
        + finish + b'}],"usage":null}\n\n'
    )  # fmt: skip


OPENAI: Final = Canned(
    _plain(
        b'{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini",'
        b'"choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":"Hello there! How can I help you today?",'
        b'"refusal":null},"logprobs":null,"finish_reason":"stop"}],' + _USAGE + b"}"
    ),
    _writes(
        [
            _chunk(b'{"role":"assistant","content":""}'),
            *[_chunk(b'{"content":" word%d"}' % number) for number in range(CHUNKS - 2)],
            _chunk(b"{}", b'"stop"'),
            b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,'
            b'"model":"gpt-4o-mini","choices":[],' + _USAGE + b"}\n\ndata: [DONE]\n\n",
        ]
    ),
)

# Anthropic messages

_SENT = b'"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"input_tokens":12'


def _event(name: bytes, rest: bytes) -> bytes:
    return b"event: " + name + b'\ndata: {"type":"' + name + b'"' + rest + b"}\n\n"


ANTHROPIC: Final = Canned(
    _plain(
        b'{"id":"msg_bench","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":'
        b'[{"type":"text","text":"Hello there! How can I help you today?"}],"stop_reason":"end_turn",'
        b'"stop_sequence":null,"usage":{' + _SENT + b',"output_tokens":50}}'
    ),
    _writes(
        [
            _event(
                b"message_start",
                b',"message":{"id":"msg_bench","type":"message","role":"assistant",'
                b'"model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{'
                + _SENT
                + b',"output_tokens":1}}',
            ),
            _event(b"content_block_start", b',"index":0,"content_block":{"type":"text","text":""}'),
            *[
                _event(
                    b"content_block_delta",
                    b',"index":0,"delta":{"type":"text_delta","text":" word%d"}' % number,
                )
                for number in range(CHUNKS - 4)
            ],
            _event(b"content_block_stop", b',"index":0'),
            _event(
                b"message_delta",
                b',"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":50}',
            )
            + _event(b"message_stop", b""),
        ]
    ),
)
