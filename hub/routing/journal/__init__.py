"""The journal: the inbox and log of every event that came in, with what became of it."""

from hub.routing.journal.entry import Definition, DeliveryRecord, Entry, Outcome, Page, Status
from hub.routing.journal.journal import Journal
from hub.routing.journal.writer import Limits

__all__ = [
    "Definition",
    "DeliveryRecord",
    "Entry",
    "Journal",
    "Limits",
    "Outcome",
    "Page",
    "Status",
]
