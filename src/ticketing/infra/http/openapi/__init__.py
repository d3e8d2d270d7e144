"""The OpenAPI document: what the framework derives from the routes, completed, and the pages that show it."""
