-- Mails that wait to leave, and those that the dev inbox shows. They are
-- madbase's own, so they stand in its schema, beside the 23 tables of schema auth
-- that an original server knows. sealed is encrypted: it has codes and links.
CREATE SCHEMA IF NOT EXISTS madbase;
CREATE TABLE IF NOT EXISTS madbase.auth_outbox (
	id uuid NOT NULL,
	kind text NOT NULL,
	sealed bytea NOT NULL,
	attempts integer NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT now(),
	due_at timestamptz DEFAULT now(),
	CONSTRAINT auth_outbox_pkey PRIMARY KEY (id)
);
COMMENT ON COLUMN madbase.auth_outbox.due_at IS 'When it is tried next; NULL: it is in the dev inbox.';
CREATE INDEX IF NOT EXISTS auth_outbox_due_at_idx ON madbase.auth_outbox (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS auth_outbox_inbox_idx ON madbase.auth_outbox (created_at) WHERE due_at IS NULL;
-- Auth's own role and nobody else; to own the table it would have to be able to
-- make more in this schema.
REVOKE ALL ON madbase.auth_outbox FROM PUBLIC;
GRANT USAGE ON SCHEMA madbase TO supabase_auth_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON madbase.auth_outbox TO supabase_auth_admin;
