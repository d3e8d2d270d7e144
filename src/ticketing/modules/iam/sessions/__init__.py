"""Log-in sessions: refresh tokens, their rotation, and revocation."""
