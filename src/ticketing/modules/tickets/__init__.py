"""Tickets: issued once per paid order, signed so that a scanner can verify them offline, and admitted once."""

from fastapi import APIRouter

from ticketing.modules.tickets import api, personal_data
from ticketing.modules.tickets.api import well_known
from ticketing.modules.tickets.checkin import api as door_api
from ticketing.modules.tickets.checkin import devices_api
from ticketing.modules.tickets.checkin.devices import revoke_devices_of_member
from ticketing.modules.tickets.checkin.retention import clean_check_ins
from ticketing.modules.tickets.documents.files import draw_pdf, event_calendar
from ticketing.modules.tickets.documents.passes import Pass
from ticketing.modules.tickets.documents.queries import list_passes_of_buyer, list_passes_of_recipient
from ticketing.modules.tickets.messages import (
    DeviceMade,
    DeviceRevoked,
    TicketCheckedIn,
    TicketsIssued,
    TicketsVoided,
    TicketTransferred,
)
from ticketing.modules.tickets.models import CheckIn, ScanResult, Ticket, TicketStatus
from ticketing.modules.tickets.provider_refunds import void_refunded
from ticketing.modules.tickets.recipients import EventRecipient, list_recipients
from ticketing.modules.tickets.service import issue_tickets, void_tickets

router = APIRouter()
router.include_router(api.router)
router.include_router(door_api.router)
router.include_router(devices_api.router)

__all__ = [
    "CheckIn",
    "DeviceMade",
    "DeviceRevoked",
    "EventRecipient",
    "Pass",
    "ScanResult",
    "Ticket",
    "TicketCheckedIn",
    "TicketStatus",
    "TicketTransferred",
    "TicketsIssued",
    "TicketsVoided",
    "clean_check_ins",
    "draw_pdf",
    "event_calendar",
    "issue_tickets",
    "list_passes_of_buyer",
    "list_passes_of_recipient",
    "list_recipients",
    "personal_data",
    "revoke_devices_of_member",
    "router",
    "void_refunded",
    "void_tickets",
    "well_known",
]
