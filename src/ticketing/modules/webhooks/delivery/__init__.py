"""Webhook delivery: fan-out, dispatch, sending, retries and retention."""
