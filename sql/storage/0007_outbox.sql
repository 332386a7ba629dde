-- What waits to be told outside: events of objects for the webhook, and what a
-- CDN is to forget. A row is written in the transaction of the change that it tells of.
CREATE SCHEMA IF NOT EXISTS madbase;
CREATE TABLE IF NOT EXISTS madbase.storage_outbox (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind       text NOT NULL,
	payload    json NOT NULL,
	attempts   integer NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT now(),
	due_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN madbase.storage_outbox.kind IS 'Type of the event, such as ObjectCreated:Put; or cdn:purge-cache.';
COMMENT ON COLUMN madbase.storage_outbox.due_at IS 'When it is tried next.';
CREATE INDEX IF NOT EXISTS storage_outbox_due_at_idx ON madbase.storage_outbox (due_at, id);
-- Storage's own role delivers; the service's, under which rows of objects are written, may only add.
REVOKE ALL ON madbase.storage_outbox FROM PUBLIC;
GRANT USAGE ON SCHEMA madbase TO supabase_storage_admin, service_role;
GRANT SELECT, UPDATE, DELETE ON madbase.storage_outbox TO supabase_storage_admin;
GRANT INSERT (kind, payload) ON madbase.storage_outbox TO service_role;
