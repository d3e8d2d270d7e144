"""The modules, lowest first: health, iam, organizations, venues, events, reservations, orders, payments, tickets and
realtime.

A module imports only lower ones, and only through their front door: `from ticketing.modules import events`.
"""
