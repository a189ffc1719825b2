import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bursar.entrypoints import logs


@pytest.fixture(autouse=True)
def afterwards_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


class TestLogs:
    def test_are_one_json_object_per_event(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("info", "json")
        structlog.get_logger().info("topup.settled", topup_id="t1", amount="5.00")
        (line,) = lines(capsys)
        assert line["event"] == "topup.settled"
        assert line["amount"] == "5.00"
        assert line["level"] == "info"

    def test_include_the_libraries(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("info", "json")
        logging.getLogger("some.library").warning("lost %s", "it")
        assert lines(capsys)[0]["event"] == "lost it"

    def test_leave_out_what_is_below_the_level(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("warning", "json")
        structlog.get_logger().info("small.talk")
        assert lines(capsys) == []

    def test_are_readable_as_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("info", "text")
        structlog.get_logger().info("topup.settled", amount="5.00")
        assert "amount=5.00" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "secret",
        [
            "llm_sk_AbCdEfGhIjKlMnOp",
            "sk-proj-abcdefghijkl",
            "sk-ant-api03-abcdefghij",
            "https://x.example/reset-password#token=bursar_link_" + 4 * "AbCdEfGhIj",
            "bursar_op_" + 4 * "AbCdEfGhIj",
            "whsec_AbCdEfGhIjKlMnOp=",
            "Bearer abcdefgh",
            "postgresql://me:hunter22@db/x",
        ],
    )
    def test_mask_what_looks_like_a_secret(self, capsys: pytest.CaptureFixture[str], secret: str) -> None:
        logs.set_up("info", "json")
        structlog.get_logger().info("provider.failed", said=f"refused {secret} today")
        said = str(lines(capsys)[0]["said"])
        assert "refused" in said
        assert secret[-6:-2] not in said.replace("today", "")

    @pytest.mark.parametrize(
        "name", ["api_key", "authorization", "secret", "operator_token", "prompt", "body"]
    )
    def test_mask_what_is_called_a_secret(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        logs.set_up("info", "json")
        structlog.get_logger().info("something.happened", **{name: "plain words"})
        assert lines(capsys)[0][name] == logs.MASK

    def test_mask_secrets_in_tracebacks(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("info", "json")
        try:
            int("llm_sk_AbCdEfGhIjKlMnOp")
        except ValueError:
            structlog.get_logger().exception("it.failed")
        assert "AbCdEf" not in capsys.readouterr().err
