"""The demo: two organizations, their venues, events and buyers, made through the public API."""
