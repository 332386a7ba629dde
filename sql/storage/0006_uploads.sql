-- Resumable uploads under way. They are madbase's own, so they stand in its schema
-- beside the tables that Supabase's projects have. Several workers share them: what
-- a request changes it changes as the holder only.
CREATE SCHEMA IF NOT EXISTS madbase;
CREATE TABLE IF NOT EXISTS madbase.storage_uploads (
	id          uuid PRIMARY KEY,
	bucket_id   text NOT NULL,
	name        text NOT NULL,
	said        text NOT NULL,
	length      bigint,
	received    bigint NOT NULL DEFAULT 0,
	tail        text,
	tail_size   bigint NOT NULL DEFAULT 0,
	version     text,
	blob_upload text,
	etag        text,
	next_part   integer NOT NULL DEFAULT 1,
	holder      uuid,
	state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'whole', 'done')),
	created_at  timestamptz NOT NULL DEFAULT now(),
	expires_at  timestamptz NOT NULL
);
COMMENT ON COLUMN madbase.storage_uploads.said IS 'The header Upload-Metadata as the client sent it.';
COMMENT ON COLUMN madbase.storage_uploads.received IS 'Bytes that were acknowledged.';
COMMENT ON COLUMN madbase.storage_uploads.tail IS 'Key of the bytes after the last part.';
COMMENT ON COLUMN madbase.storage_uploads.state IS 'open; whole: all bytes are stored, the object is to be made; done.';
CREATE INDEX IF NOT EXISTS storage_uploads_expires_at_idx ON madbase.storage_uploads (expires_at);

CREATE TABLE IF NOT EXISTS madbase.storage_upload_parts (
	upload_id uuid NOT NULL REFERENCES madbase.storage_uploads (id) ON DELETE CASCADE,
	number    integer NOT NULL,
	size      bigint NOT NULL,
	etag      text NOT NULL,
	PRIMARY KEY (upload_id, number)
);
-- Storage's own role and nobody else.
REVOKE ALL ON madbase.storage_uploads, madbase.storage_upload_parts FROM PUBLIC;
GRANT USAGE ON SCHEMA madbase TO supabase_storage_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON madbase.storage_uploads, madbase.storage_upload_parts TO supabase_storage_admin;
