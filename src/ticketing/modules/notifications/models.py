"""The limit on emails to one mailbox."""

from datetime import datetime

from sqlalchemy import LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base


class EmailLimit(Base):
    """When one mailbox may get a full burst of one kind of email again. Deleted after that time."""

    __tablename__ = "email_limits"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    #: A digest of the mailbox, as for purchase limits: `ada+1@` and `ada+2@` are one.
    mailbox: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    full_at: Mapped[datetime] = mapped_column(index=True)
