import pytest

from bursar.core.service import Service, endpoint_for


class TestEndpointFor:
    @pytest.mark.parametrize(
        ("service", "asked", "endpoint"),
        [
            (Service.CHAT, "/v1/embeddings", "/v1/chat/completions"),
            (Service.EMBEDDINGS, "/v1/messages", "/v1/embeddings"),
            (Service.IMAGES, "/v1/chat/completions", "/v1/images/generations"),
            (Service.CHAT, "/v1beta/models/m:embedContent", "/v1beta/models/m:generateContent"),
            (Service.EMBEDDINGS, "/v1beta/models/m:generateContent", "/v1beta/models/m:embedContent"),
            (Service.IMAGES, "/v1beta/models/m:generateContent", "/v1/images/generations"),
        ],
    )
    def test_is_in_the_callers_own_dialect_where_that_has_one(
        self, service: Service, asked: str, endpoint: str
    ) -> None:
        assert endpoint_for(service, "m", asked) == endpoint
