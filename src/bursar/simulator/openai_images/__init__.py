"""Simulated OpenAI images: `/v1/images/generations`, whole and streamed. The pictures are one colour each."""
