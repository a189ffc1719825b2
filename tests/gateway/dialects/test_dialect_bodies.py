"""What every dialect refuses before it looks: bodies that are no objects, or too finely or deeply made."""

import orjson
import pytest

from bursar.core.chat import BadRequest
from bursar.gateway.dialects.bodies import DEPTH_MAX, OBJECTS_MAX, parse_object


def nested(levels: int) -> bytes:
    """An object with so many levels, itself the first."""
    return b'{"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


class TestParseObject:
    def test_gives_the_object(self) -> None:
        assert parse_object(b'{"a":[1,{"b":null}]}') == {"a": [1, {"b": None}]}

    def test_takes_what_can_be_written_again(self) -> None:
        parsed = parse_object(nested(DEPTH_MAX))
        assert orjson.loads(orjson.dumps(parsed)) == parsed

    @pytest.mark.parametrize("levels", [DEPTH_MAX + 1, 900])
    def test_refuses_what_is_nested_too_deeply(self, levels: int) -> None:
        with pytest.raises(BadRequest, match="nested too deeply") as refused:
            parse_object(nested(levels))
        assert (refused.value.code, refused.value.status) == ("invalid_json", 422)

    def test_minds_the_depth_not_the_number(self) -> None:
        body = orjson.dumps({"x": [[{}]] * 10 * DEPTH_MAX})
        assert len(parse_object(body)["x"]) == 10 * DEPTH_MAX

    @pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b'{"a":1}x'])
    def test_refuses_what_is_no_object(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            parse_object(body)

    def test_refuses_too_many_parts_before_it_reads_them(self) -> None:
        with pytest.raises(BadRequest, match="too many parts"):
            parse_object(b"{" * (OBJECTS_MAX + 1))
