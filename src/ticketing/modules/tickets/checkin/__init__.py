"""Admission at the door: check-ins, devices and offline lists."""
