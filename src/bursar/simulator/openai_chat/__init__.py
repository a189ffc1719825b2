"""Simulated OpenAI: `/v1/chat/completions` and `/v1/models`; also its looser, compatible imitators."""
