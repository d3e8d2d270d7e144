"""The comparison of HTTP servers and Python versions."""
