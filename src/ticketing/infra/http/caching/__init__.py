"""Responses that clients may keep, and validate before they use them again."""
