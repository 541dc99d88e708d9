"""Connections that menura opens to others: an AI provider's Realtime API."""
