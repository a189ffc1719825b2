"""Framing of event streams: whatever the chunks, the same events."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.core.sse import Event, EventTooLarge, Framer, frame_of, parse

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=20)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """A stream in one style of line ends, and the events a reader must see."""
    end = draw(LINE_ENDS)
    stream, events = b"", []
    for _ in range(draw(st.integers(0, 5))):
        name = draw(st.sampled_from(["", "message_start", "error"]))
        lines = draw(st.lists(TEXT, min_size=1, max_size=3))
        if draw(st.booleans()):
            stream += b": keep-alive" + end + draw(st.sampled_from([b"", end]))
        if name:
            stream += b"event: " + name.encode() + end
        stream += b"".join(b"data: " + line.encode() + end for line in lines) + end
        events.append(Event(name, "\n".join(lines).encode()))
    return stream, events


def cut(stream: bytes, sizes: Iterable[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(stream[:size])
        stream = stream[size:]
    return [*chunks, stream]


def events_of(chunks: Iterable[bytes]) -> list[Event]:
    framer = Framer()
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    frames.append(framer.finish())
    return [event for frame in frames if (event := parse(frame)) is not None]


class TestFramer:
    @given(streams(), st.lists(st.integers(0, 30), max_size=20))
    def test_any_chunking_gives_the_same_events(
        self, stream: tuple[bytes, list[Event]], sizes: list[int]
    ) -> None:
        assert events_of(cut(stream[0], sizes)) == stream[1]

    @given(st.binary(max_size=200), st.lists(st.integers(0, 30), max_size=20))
    def test_joined_frames_are_the_bytes_that_came(self, stream: bytes, sizes: list[int]) -> None:
        framer = Framer()
        frames = [frame for chunk in cut(stream, sizes) for frame in framer.feed(chunk)]
        assert b"".join([*frames, framer.finish()]) == stream

    def test_one_byte_at_a_time_keeps_characters_whole(self) -> None:
        stream = frame_of("안녕 👋🏽 日本".encode())
        assert events_of(stream[n : n + 1] for n in range(len(stream))) == [
            Event("", "안녕 👋🏽 日本".encode())
        ]

    def test_a_megabyte_in_one_event_is_framed(self) -> None:
        stream = frame_of(b"x" * 1_000_000) + frame_of(b"next")
        chunks = [stream[n : n + 16_384] for n in range(0, len(stream), 16_384)]
        assert [len(event.data) for event in events_of(chunks)] == [1_000_000, 4]

    def test_several_events_in_a_chunk_come_out_apart(self) -> None:
        assert Framer().feed(b"data: 1\n\ndata: 2\n\ndata: 3") == [b"data: 1\n\n", b"data: 2\n\n"]

    def test_a_carriage_return_at_the_end_waits_for_its_line_feed(self) -> None:
        framer = Framer()
        assert framer.feed(b"data: 1\r\n\r") == []
        assert framer.feed(b"\ndata: 2\r\n\r\n") == [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"]

    @pytest.mark.parametrize("piece", [b"data: x", b"data: x\r"])
    def test_refuses_an_event_past_the_limit(self, piece: bytes) -> None:
        framer = Framer(limit=16)
        framer.feed(piece)
        framer.feed(piece)
        with pytest.raises(EventTooLarge, match="16 bytes"):
            framer.feed(piece)

    def test_tells_what_is_pending(self) -> None:
        framer = Framer()
        framer.feed(b"data: 1\n\ndat")
        assert framer.pending == 3
        assert framer.finish() == b"dat"
        assert framer.pending == 0


class TestParse:
    def test_joins_data_lines_with_a_line_feed(self) -> None:
        assert parse(b"data: a\ndata: b\n\n") == Event("", b"a\nb")

    def test_takes_the_name_and_strips_one_space(self) -> None:
        assert parse(b"event:ping\ndata:  x\n\n") == Event("ping", b" x")

    def test_reads_carriage_returns_in_a_plain_looking_frame(self) -> None:
        assert parse(b"data: a\rdata: b\n\n") == Event("", b"a\nb")

    @pytest.mark.parametrize(
        "frame", [b": comment\n\n", b"\n\n", b"id: 7\nretry: 10\n\n", b"event: x\n\n", b""]
    )
    def test_sees_no_event_without_data(self, frame: bytes) -> None:
        assert parse(frame) is None

    def test_forgives_a_byte_order_mark(self) -> None:
        assert parse(b"\xef\xbb\xbfdata: a\n\n") == Event("", b"a")

    def test_data_may_be_empty(self) -> None:
        assert parse(b"data\n\n") == Event("", b"")


class TestNamedEvents:
    @given(
        st.binary(max_size=8),
        st.lists(st.binary(max_size=8), min_size=1, max_size=3),
        st.sampled_from([b"event: ", b"event:"]),
    )
    def test_read_the_same_whatever_ends_their_lines(
        self, name: bytes, lines: list[bytes], field: bytes
    ) -> None:
        name, *lines = (part.translate(None, b"\r\n") for part in (name, *lines))
        written = [field + name, *(b"data: " + line for line in lines), b"", b""]
        plain, windows = parse(b"\n".join(written)), parse(b"\r\n".join(written))
        assert plain == windows
        assert plain is not None
        assert plain.data == b"\n".join(lines)
