"""A stream settled after a crash and put right later is counted once."""

from typing import Any

from control_client import Client, Use


async def test_its_tokens_are_counted_once(client: Client, organisation: dict[str, Any], use: Use) -> None:
    marked = await use(from_mark=True, outcome="crashed", output_tokens=20, sale=20_000_000, cost=0)
    await use(request_id=marked.request_id)
    await use()
    found = await client.get(f"/organisations/{organisation['id']}/usage/summary?by=model")
    (bucket,) = found["items"]
    assert bucket["requests"] == 2
    assert bucket["sale"] == "0.096"
    assert (bucket["input_tokens"], bucket["output_tokens"]) == (200, 100)
    assert bucket["quantities"] == {"in_fresh": 200, "out_text": 100}
