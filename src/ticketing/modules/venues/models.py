"""Tables of venues and their seating plans. A published version of a plan never changes."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class Venue(Identified, Base):
    """A place where events are held. `plan_version` is the latest version of its seating plan."""

    __tablename__ = "venues"
    __table_args__ = (UniqueConstraint("organization_id", "id"), CheckConstraint("capacity >= 0", name="capacity"))

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(Text)
    city: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    capacity: Mapped[int] = mapped_column(Integer)
    plan_version: Mapped[int] = mapped_column(Integer)


class SeatingPlan(Base):
    """One version of a venue's plan: size, categories and areas. The seats are PlanSeat rows."""

    __tablename__ = "seating_plans"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "venue_id"], ["venues.organization_id", "venues.id"]),
        CheckConstraint("version >= 1", name="version"),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    venue_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    #: {"width", "height", "focal_point"?: {"x", "y"}, "categories": [{"name", "color"}], "areas": [...]}
    layout: Mapped[dict[str, Any]]
    seats: Mapped[int] = mapped_column(Integer, server_default="0")


class PlanSeat(Base):
    """A seat of a plan.

    In a venue's first plan, `number` counts from 0 in the order of the plan, with the best rows of a section first. A
    later version numbers a label as all versions before it, and new labels from the next number that no version has:
    a number never means another seat, and the numbers of a version may have gaps.
    """

    __tablename__ = "plan_seats"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "venue_id", "plan_version"],
            ["seating_plans.organization_id", "seating_plans.venue_id", "seating_plans.version"],
        ),
        UniqueConstraint("organization_id", "venue_id", "plan_version", "label"),
        CheckConstraint("number >= 0", name="number"),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    venue_id: Mapped[UUID] = mapped_column(primary_key=True)
    plan_version: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    #: Section-Row-Seat, such as "Stalls-A-12".
    label: Mapped[str] = mapped_column(Text)
    section: Mapped[str] = mapped_column(Text)
    row: Mapped[str] = mapped_column(Text)
    seat: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text)
    x: Mapped[float | None]
    y: Mapped[float | None]
    #: How the row and the seat are called on tickets and pages; null for "Row A" and "Seat 12".
    row_label: Mapped[str | None] = mapped_column(Text)
    seat_label: Mapped[str | None] = mapped_column(Text)
    #: The place in the order of the plan; null where that is the number.
    position: Mapped[int | None] = mapped_column(Integer)
