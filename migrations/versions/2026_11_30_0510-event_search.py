"""Search of events by words, whatever their accents and case, and with typing errors: a column with trigrams."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0034"
down_revision: str | None = "0033"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"
BATCH_ROWS = 2_000

# Letters that have no decomposition are replaced as `unaccent` would do, without that extension. Characters of scripts
# that have no blanks between words become words, so that the index finds one or two of them.
FUNCTIONS = r"""
create function search_fold(given text) returns text language plpgsql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp as $$
begin
    if octet_length(given) = length(given) then
        return btrim(regexp_replace(translate(lower(given), '''`', ''), '\s+', ' ', 'g'));
    end if;
    given := regexp_replace(normalize(given, NFKD), '[\u0300-\u036f\u0591-\u05c7\u064b-\u065f]', '', 'g');
    given := translate(lower(normalize(given, NFKC) collate "pg_c_utf8"),
        E'\u00f8\u0111\u00f0\u0142\u0127\u0131\u014b\u03c2''`\u00b4\u2018\u2019\u02bc', E'oddlhin\u03c3');
    given := replace(replace(replace(replace(given, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
    given := regexp_replace(given, '([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])',
                            ' \1 ', 'g');
    return btrim(regexp_replace(given, '\s+', ' ', 'g'));
end $$;
create function search_text_of_event(title text, organization uuid, venue uuid) returns text language sql stable
    set search_path = pg_catalog, public, pg_temp as $$
    select concat(' ', search_fold(title), E'\n ', search_fold(v.name), E'\n ', search_fold(v.city))
      from (values (1)) one left join venues v on v.organization_id = organization and v.id = venue $$;
create function set_search_text() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
    new.search_text := search_text_of_event(new.title, new.organization_id, new.venue_id);
    return new;
end $$;
create function renew_search_text() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
    update events set title = title where organization_id = new.organization_id and venue_id = new.id;
    return null;
end $$;
create trigger events_search_text before insert or update of title, venue_id on events
    for each row execute function set_search_text();
create trigger venues_search_text after update of name, city on venues
    for each row execute function renew_search_text();
"""
# The operators of trigrams and LIKE are not leakproof, so that no index serves them behind a policy. These functions
# run with their owner's rights, and return what everybody may read: published events. Each search has a plan of its
# own, because its words decide whether an index is of use. Similar events are compared up to a number: the words of a
# search may be a typing error away from those of many events.
LOOK_UPS = """
create function search_events(patterns text[], count_max integer) returns table (event_id uuid, found text)
    language plpgsql stable security definer rows 100
    set search_path = {path} set plan_cache_mode = 'force_custom_plan' as $$
begin
    return query select e.id, e.search_text from events e
      where e.status = 'published' and e.search_text like patterns[1] and e.search_text like all (patterns)
      limit count_max;
end $$;
create function similar_events(phrase text, count_max integer) returns table (event_id uuid, found text)
    language plpgsql stable security definer rows 100
    set search_path = {path} set plan_cache_mode = 'force_custom_plan'
    set pg_trgm.word_similarity_threshold = 0.4 as $$
begin
    return query select near.id, near.search_text
      from (select e.id, e.search_text from events e where e.status = 'published' and e.search_text %> phrase
             limit 2000) near
     order by word_similarity(phrase, near.search_text) desc, near.id limit count_max;
end $$;
revoke execute on function search_events(text[], integer), similar_events(text, integer) from public;
grant execute on function search_events(text[], integer), similar_events(text, integer) to {roles};
"""
#: In short transactions: sales do not wait for the rows of all events.
BACKFILL = f"""
do $$ declare last uuid := '00000000-0000-0000-0000-000000000000'; ids uuid[];
begin
    loop
        select array_agg(id order by id) into ids
          from (select id from events where id > last order by id limit {BATCH_ROWS}) batch;
        exit when ids is null;
        update events set title = title where id = any(ids);
        last := ids[array_length(ids, 1)];
        commit;
    end loop;
end $$"""


def upgrade() -> None:
    op.execute("create extension if not exists pg_trgm")
    find_schema = "select extnamespace::regnamespace::text from pg_extension where extname = 'pg_trgm'"
    schema = op.get_bind().exec_driver_sql(find_schema).scalar_one()
    op.add_column("events", sa.Column("search_text", sa.Text(), server_default="", nullable=False))
    path = ", ".join(dict.fromkeys(["pg_catalog", "public", schema, "pg_temp"]))
    for statements in (FUNCTIONS, LOOK_UPS.format(path=path, roles=f"{REQUESTS}, {WORKERS}")):
        op.execute(statements)
    with op.get_context().autocommit_block():
        op.execute(BACKFILL)
        op.execute(
            f"create index concurrently ix_events_search on events using gin (search_text {schema}.gin_trgm_ops)"
            " where status = 'published'"
        )


def downgrade() -> None:
    op.execute("drop trigger venues_search_text on venues; drop trigger events_search_text on events")
    op.execute("drop function similar_events, search_events, renew_search_text, set_search_text, search_text_of_event")
    op.drop_column("events", "search_text")
    op.execute("drop function search_fold")
