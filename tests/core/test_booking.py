import json
from uuid import UUID

import orjson

from bursar.core.booking import UsageRow

FIELDS = """
request_id attempt revision started_at_ms finished_at_ms organisation_id wallet_id asset scope_class
api_key_id lease_id provider_id credential_id model provider_model endpoint dialect streamed status outcome
error_code quantities price_ids input_tokens output_tokens estimated flags raw_usage service_tier cost sale
latency_ms first_byte_ms provider_request_id end_user from_mark project_id team_id
"""


def example_row() -> UsageRow:
    return UsageRow(
        request_id=UUID(int=1),
        attempt=1,
        revision=0,
        started_at_ms=1_790_000_000_000,
        finished_at_ms=1_790_000_000_900,
        organisation_id=UUID(int=2),
        wallet_id=UUID(int=3),
        asset="USD",
        scope_class="text",
        api_key_id=UUID(int=4),
        lease_id=UUID(int=5),
        provider_id=UUID(int=6),
        credential_id=None,
        model="m",
        provider_model="m-2026",
        endpoint="/v1/chat/completions",
        dialect="openai_chat",
        streamed=True,
        status=200,
        outcome="completed",
        error_code=None,
        quantities={"in_fresh": 10},
        price_ids={"in_fresh": 1},
        input_tokens=10,
        output_tokens=0,
        estimated=False,
        flags=[],
        raw_usage='{"prompt_tokens": 10}',
        service_tier=None,
        cost=2**60,
        sale=2**61,
        latency_ms=900,
        first_byte_ms=None,
        provider_request_id=None,
        end_user=None,
        from_mark=False,
    )


class TestUsageRow:
    def test_becomes_json_with_its_fields_in_order_and_big_amounts_exact(self) -> None:
        written = json.loads(orjson.dumps(example_row()))
        assert list(written) == FIELDS.split()
        assert (written["cost"], written["sale"]) == (2**60, 2**61)
        assert written["wallet_id"] == str(UUID(int=3))
