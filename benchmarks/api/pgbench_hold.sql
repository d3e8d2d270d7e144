-- One hold in one transaction, with the same queries and the same rows, columns and sizes. It uses two pipelines, so the
-- client waits twice: a client must read whether the seat is available before it can write.
\set n :n + 1
\set number permute(:client_id + 64 * :n, :seats, 7)
\set buyer :number % :buyers
\startpipeline
begin;
select set_config('app.organization_id', :organization, true);
select id, organization_id, currency, max_per_order, max_per_buyer, max_held_per_buyer,
       now() + make_interval(secs => hold_seconds), status,
       sales_start_at > now(), sales_end_at <= now() or coalesce(ends_at, starts_at + interval '1 day') <= now()
  from events where organization_id = (:organization)::uuid and id = (:event)::uuid and published_at is not null;
select pg_try_advisory_xact_lock(hashint8extended(:number, :round));
select fingerprint, status, body from idempotency_keys
 where caller = 'user:00000000-0000-7000-8000-' || lpad((:buyer)::text, 12, '0')
   and key = md5((:round)::text || ' ' || (:number)::text)::uuid::text;
select number, label, category, status, reservation_id, status = 'a' or status = 'h' and held_until <= now() as is_free
  from event_seats
 where organization_id = (:organization)::uuid and event_id = (:event)::uuid
   and label = any(array[format('S%s-%s-%s', (:number)::int / 4000 * 40, (:number)::int / 100 + 1, (:number)::int % 100 + 1)])
 order by number for update skip locked;
\endpipeline
\startpipeline
with hold as (
    select uuidv7() as id, (:organization)::uuid as organization, (:event)::uuid as event, (:number)::int as number,
           format('S%s-%s-%s', (:number)::int / 4000 * 40, (:number)::int / 100 + 1, (:number)::int % 100 + 1) as label,
           ('00000000-0000-7000-8000-' || lpad((:buyer)::text, 12, '0'))::uuid as buyer,
           now() + interval '1 hour' as until),
seat as (
    update event_seats s set status = 'h', reservation_id = w.id, held_until = w.until, version = s.version + 1
      from hold w
     where s.organization_id = (:organization)::uuid and s.event_id = (:event)::uuid and s.number = (:number)::int
       and (s.status = 'a' or s.status = 'h' and s.held_until <= now())),
reservation as (
    insert into reservations (id, organization_id, event_id, user_id, buyer_identity, status, expires_at, extensions,
                              total_minor, currency, version)
    select w.id, w.organization, w.event, w.buyer, buyer_identity(w.event, u.email_normalized), 'active', w.until, 0,
           4500, 'EUR', 0
      from hold w join users u on u.id = w.buyer),
item as (
    insert into reservation_items (organization_id, reservation_id, position, event_id, seat_number, seat_label,
                                   ticket_type_id, quantity, price_minor, is_confirmed, returned)
    select w.organization, w.id, 0, w.event, w.number, w.label, (:type)::uuid, 1, 4500, false, 0 from hold w),
response as (
    insert into idempotency_keys (caller, key, fingerprint, status, body)
    select 'user:' || w.buyer, md5((:round)::text || ' ' || (:number)::text)::uuid::text,
           sha256(int8send(:number)), 201, decode(:body, 'hex') from hold w)
insert into outbox (organization_id, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select w.organization, uuidv7(), 'reservation.created', w.id::text, 1, (:payload)::json, md5(w.id::text), '',
       'user:' || w.buyer from hold w;
commit;
\endpipeline
