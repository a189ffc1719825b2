"""OpenAI's Responses API, simulated."""
