"""Voices as data, and the stages built from them."""
