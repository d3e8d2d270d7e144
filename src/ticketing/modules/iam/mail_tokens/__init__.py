"""Single-use links in emails: address verification and password reset."""
