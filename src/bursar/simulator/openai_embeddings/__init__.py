"""Simulated OpenAI embeddings: `/v1/embeddings`. The same text always gets the same vector."""
