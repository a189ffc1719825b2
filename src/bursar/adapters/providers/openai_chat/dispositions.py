"""What becomes of OpenAI's chat properties at servers that copied the dialect."""

from collections.abc import Mapping

from bursar.adapters.providers import Rule
from bursar.adapters.providers.dispositions import forwarded, refused, translated
from bursar.adapters.providers.openai_properties import PROPERTIES

NO_PRICE = refused("no price for this tier is kept")
DEAR_TIERS: Mapping[str, Rule] = {
    f"service_tier={tier}": NO_PRICE for tier in ("flex", "priority", "fast", "scale")
}
SERVERS_OWN: Mapping[str, Rule] = {
    **dict.fromkeys(PROPERTIES, forwarded("the server decides what it knows")),
    "model": translated("the deployment's own model name"),
    "max_completion_tokens": translated("lowered when the wallet covers less"),
    "max_tokens": translated("lowered when the wallet covers less"),
    "stream_options": translated("see its parts"),
    "stream_options.include_usage": translated("always on upstream; the usage is passed on when asked for"),
}
SEARCHES = refused("searches are billed apart, which is not priced here")
