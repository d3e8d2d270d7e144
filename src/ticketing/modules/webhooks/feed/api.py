"""The route of the change feed."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from ticketing.infra import app_state
from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import organizations
from ticketing.modules.webhooks import topic_filter
from ticketing.modules.webhooks.feed.long_poll import LongPoll
from ticketing.modules.webhooks.feed.schemas import FeedItemOut
from ticketing.modules.webhooks.feed.service import Feed

WAIT_SECONDS_MAX = 25

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_FEED)]
Types = Annotated[str, Query(max_length=2000, description="Types or prefixes such as `order.*`, separated by commas")]
Wait = Annotated[int, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait if there are no messages")]

router = APIRouter(tags=["webhooks"], route_class=idempotency.Route)


@router.get("/orgs/{org_id}/feed")
async def read_feed(
    request: Request, access: Reader, page: Page, session: Db, types: Types = "", wait: Wait = 0
) -> Envelope[list[FeedItemOut]]:
    """Read the messages of the organization in order, from the oldest retained one or from `cursor` on.

    The same cursor returns the same messages again. There is always a next cursor: at the end of the log, use it to
    wait for new messages."""
    feed = Feed(access.organization_id, page.after, topic_filter.parse(types), page.limit)
    await session.commit()  # returns the connection: a waiting request holds none
    found = await feed.wait(request, app_state.of(request.app).get(LongPoll), wait)
    return envelope([FeedItemOut.of(row) for row in found.rows], next_cursor=feed.cursor)
