"""xAI. Its chat completions are deprecated in favour of its responses, but serve every model it has.

Callers of the Responses API pass through to its own; all others are served by its chat completions.

Source: xAI's API reference and its cost tracking guide. Usage counts reasoning beside `completion_tokens`,
which the stated total tells. Every answer also states what it cost, `cost_in_usd_ticks` (10^10 to the
dollar), tools and discounts included: it stays in the raw usage, beside our own rating.
"""

from bursar.adapters.providers.dispositions import refused
from bursar.adapters.providers.openai_chat import ChatServer, refusals
from bursar.adapters.providers.openai_chat.dispositions import DEAR_TIERS, SEARCHES, SERVERS_OWN
from bursar.adapters.providers.openai_chat.style import Style
from bursar.adapters.providers.openai_responses import ResponsesSurface
from bursar.adapters.providers.openai_responses.dispositions import DISPOSITION as RESPONSES

DISPOSITION = {
    **SERVERS_OWN,
    **DEAR_TIERS,
    "web_search_options": SEARCHES,
    "search_parameters": SEARCHES,
    "logit_bias": refused("the provider does not bias tokens", neutral=({},)),
}
RESPONSE_DISPOSITION = {**RESPONSES, "search_parameters": SEARCHES}
STYLE = Style(
    output_bound="max_completion_tokens",
    refused={"top_k": "the provider samples by `temperature` and `top_p` only"},
    thoughts="dropped",
    hears=False,
    reads_files=False,
    stop_max=4,
)


class XAI(ChatServer):
    """Provider type `xai`."""

    kind = "xai"
    style = STYLE
    dispositions = DISPOSITION
    refused = refusals(DISPOSITION)
    tool_types = frozenset({"function", "custom"})
    embeddings = None
    responses = ResponsesSurface(rules=RESPONSE_DISPOSITION)
