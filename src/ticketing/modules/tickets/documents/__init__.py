"""Tickets as files: PDF, QR code and calendar entry."""
