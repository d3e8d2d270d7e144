"""Time-based one-time codes (TOTP) as a second factor."""
