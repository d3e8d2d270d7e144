"""The demo: two organizations with venues, events and buyers, created through the public API."""
