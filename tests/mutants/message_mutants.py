"""Wrong versions of what passes Anthropic's messages through; see `python_mutants`."""

from typing import Final

from python_mutants import mutants

MESSAGES: Final = (
    mutants(
        "bursar.gateway.dialects.anthropic_messages.passing",
        (
            "a_placeholder_is_final",
            "a_placeholder_is_never_the_output",
            'is_final = self.measured.usage_final or (final and raw.get("output_tokens") is not None)',
            'is_final = raw.get("output_tokens") is not None',
        ),
        (
            "the_first_word_on_usage_counts",
            "the_last_word_on_usage_counts",
            "{**self._usage, **{name: value for name, value in raw.items() if value is not None}}",
            "{**{name: value for name, value in raw.items() if value is not None}, **self._usage}",
        ),
        (
            "a_message_ends_with_its_usage",
            "a_message_ends_with_its_mark",
            "        self._last_delta = said\n",
            "        self._last_delta = said\n        self.measured.terminal = True\n",
        ),
    )
    + mutants(
        "bursar.adapters.providers.anthropic.messages",
        (
            "the_loosest_bound_is_kept",
            "no_more_comes_than_was_held_for",
            '"max_tokens": min(bound',
            '"max_tokens": max(bound',
        ),
    )
    + mutants(
        "bursar.gateway.admit",
        (
            "searches_are_free",
            "searches_without_a_price_are_refused",
            "return all(meter in quote.sheets[0] for meter in call.counts)",
            "return bool(quote.sheets and call.counts)",
        ),
    )
)
