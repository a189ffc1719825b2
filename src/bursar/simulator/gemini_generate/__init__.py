"""Simulated Gemini API: `/v1beta/models/{model}:generateContent` and its sisters, and the list of models."""
