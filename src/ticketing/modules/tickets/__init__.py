"""Tickets: issued once per paid order, signed so that a door can check them alone, and admitted once."""

from fastapi import APIRouter

from ticketing.modules.tickets import api, door_api
from ticketing.modules.tickets.api import well_known
from ticketing.modules.tickets.messages import TicketCheckedIn, TicketsIssued, TicketsVoided, TicketTransferred
from ticketing.modules.tickets.models import CheckIn, ScanResult, Ticket, TicketStatus
from ticketing.modules.tickets.service import issue_tickets, void_tickets

router = APIRouter()
router.include_router(api.router)
router.include_router(door_api.router)

__all__ = [
    "CheckIn",
    "ScanResult",
    "Ticket",
    "TicketCheckedIn",
    "TicketStatus",
    "TicketTransferred",
    "TicketsIssued",
    "TicketsVoided",
    "issue_tickets",
    "router",
    "void_tickets",
    "well_known",
]
