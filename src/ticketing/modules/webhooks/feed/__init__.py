"""The change feed of an organization, with long polling."""
