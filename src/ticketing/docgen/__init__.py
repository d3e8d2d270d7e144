"""Writes the pages of docs/ that follow from the code: `make docs`, or `python -m ticketing.docgen docs`.

A test compares each page with what the code produces, so a page cannot go stale.
"""
