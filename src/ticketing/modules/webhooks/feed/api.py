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
from ticketing.modules.webhooks.feed.long_poll import Lookout
from ticketing.modules.webhooks.feed.schemas import FeedItemOut
from ticketing.modules.webhooks.feed.service import Feed

WAIT_SECONDS_MAX = 25

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_FEED)]
Types = Annotated[str, Query(max_length=2000, description="Types or prefixes, such as `order.*`, between commas")]
Wait = Annotated[int, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for something to answer with")]

router = APIRouter(tags=["webhooks"], route_class=idempotency.Route)


@router.get("/orgs/{org_id}/feed")
async def read_feed(
    request: Request, access: Reader, page: Page, session: Db, types: Types = "", wait: Wait = 0
) -> Envelope[list[FeedItemOut]]:
    """All facts of the organization in order, from the oldest that is kept or from `cursor` on; the same cursor gives
    the same facts again. There is always a next cursor: at the end of the log it is the place to wait at."""
    feed = Feed(access.organization_id, page.after, topic_filter.split(types), page.limit)
    await session.commit()  # this is the edge: whoever waits from here on has no connection in hand
    found = await feed.wait(request, app_state.of(request.app).get(Lookout), wait)
    return envelope([FeedItemOut.of(row) for row in found.rows], next_cursor=feed.cursor)
