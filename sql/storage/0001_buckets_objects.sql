-- Buckets and objects with Supabase's names and types. A restored dump may have
-- brought any of them already, from any age: every statement tolerates that.
DO $$
BEGIN
	IF to_regtype('storage.buckettype') IS NULL THEN
		CREATE TYPE storage.buckettype AS ENUM ('STANDARD', 'ANALYTICS', 'VECTOR');
	END IF;
END
$$;
ALTER TYPE storage.buckettype OWNER TO supabase_storage_admin;

-- supabase/storage's own bookkeeping; madbase keeps its in another schema and leaves this one empty.
CREATE TABLE IF NOT EXISTS storage.migrations (
	id          integer PRIMARY KEY,
	name        varchar(100) UNIQUE NOT NULL,
	hash        varchar(40) NOT NULL,
	executed_at timestamp DEFAULT current_timestamp
);

CREATE TABLE IF NOT EXISTS storage.buckets (
	id         text NOT NULL PRIMARY KEY,
	name       text NOT NULL,
	owner      uuid,
	created_at timestamptz DEFAULT now(),
	updated_at timestamptz DEFAULT now()
);
ALTER TABLE storage.buckets
	ADD COLUMN IF NOT EXISTS public             boolean DEFAULT false,
	ADD COLUMN IF NOT EXISTS avif_autodetection boolean DEFAULT false,
	ADD COLUMN IF NOT EXISTS file_size_limit    bigint,
	ADD COLUMN IF NOT EXISTS allowed_mime_types text[],
	ADD COLUMN IF NOT EXISTS owner_id           text,
	ADD COLUMN IF NOT EXISTS type               storage.buckettype NOT NULL DEFAULT 'STANDARD',
	ADD COLUMN IF NOT EXISTS versioning_status  text NOT NULL DEFAULT 'DISABLED';
COMMENT ON COLUMN storage.buckets.owner IS 'Field is deprecated, use owner_id instead';
CREATE UNIQUE INDEX IF NOT EXISTS bname ON storage.buckets (name);

CREATE TABLE IF NOT EXISTS storage.objects (
	id               uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	bucket_id        text CONSTRAINT "objects_bucketId_fkey" REFERENCES storage.buckets (id),
	name             text,
	owner            uuid,
	created_at       timestamptz DEFAULT now(),
	updated_at       timestamptz DEFAULT now(),
	last_accessed_at timestamptz DEFAULT now(),
	metadata         jsonb
);
ALTER TABLE storage.objects
	ADD COLUMN IF NOT EXISTS path_tokens      text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED,
	ADD COLUMN IF NOT EXISTS version          text,
	ADD COLUMN IF NOT EXISTS owner_id         text,
	ADD COLUMN IF NOT EXISTS user_metadata    jsonb,
	ADD COLUMN IF NOT EXISTS archived_at      timestamptz,
	ADD COLUMN IF NOT EXISTS is_delete_marker boolean NOT NULL DEFAULT false,
	ADD COLUMN IF NOT EXISTS is_versioned     boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN storage.objects.owner IS 'Field is deprecated, use owner_id instead';
CREATE UNIQUE INDEX IF NOT EXISTS bucketid_objname ON storage.objects (bucket_id, name);
CREATE INDEX IF NOT EXISTS name_prefix_search ON storage.objects (name text_pattern_ops);
CREATE INDEX IF NOT EXISTS idx_objects_bucket_id_name ON storage.objects (bucket_id, (name COLLATE "C"));
CREATE INDEX IF NOT EXISTS idx_objects_bucket_id_name_lower ON storage.objects (bucket_id, (lower(name) COLLATE "C"));

DO $$
DECLARE
	wanted record;
BEGIN
	FOR wanted IN SELECT * FROM (VALUES
		('buckets_versioning_status_check',        $c$versioning_status IN ('DISABLED', 'ENABLED', 'SUSPENDED')$c$),
		('buckets_versioning_standard_only_check', $c$type = 'STANDARD' OR versioning_status = 'DISABLED'$c$),
		('buckets_versioning_dark_check',          $c$versioning_status = 'DISABLED'$c$)
	) AS checks (name, condition) LOOP
		IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'storage.buckets'::regclass AND conname = wanted.name) THEN
			EXECUTE format('ALTER TABLE storage.buckets ADD CONSTRAINT %I CHECK (%s)', wanted.name, wanted.condition);
		END IF;
	END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION storage.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.updated_at := now();
	RETURN new;
END
$$;
DROP TRIGGER IF EXISTS update_objects_updated_at ON storage.objects;
CREATE TRIGGER update_objects_updated_at BEFORE UPDATE ON storage.objects
	FOR EACH ROW EXECUTE FUNCTION storage.update_updated_at_column();

CREATE OR REPLACE FUNCTION storage.enforce_bucket_name_length() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF length(new.name) > 100 THEN
		RAISE EXCEPTION 'bucket name "%" is too long (% characters). Max is 100.', new.name, length(new.name);
	END IF;
	RETURN new;
END
$$;
DROP TRIGGER IF EXISTS enforce_bucket_name_length_trigger ON storage.buckets;
CREATE TRIGGER enforce_bucket_name_length_trigger BEFORE INSERT OR UPDATE OF name ON storage.buckets
	FOR EACH ROW EXECUTE FUNCTION storage.enforce_bucket_name_length();

-- A row that SQL deletes would leave its bytes behind: only the service, which deletes both, says it may.
CREATE OR REPLACE FUNCTION storage.protect_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('storage.allow_delete_query', true) IS DISTINCT FROM 'true' THEN
		RAISE EXCEPTION 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
			USING ERRCODE = '42501', HINT = 'This prevents accidental data loss from orphaned objects.';
	END IF;
	RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS protect_buckets_delete ON storage.buckets;
CREATE TRIGGER protect_buckets_delete BEFORE DELETE ON storage.buckets
	FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
DROP TRIGGER IF EXISTS protect_objects_delete ON storage.objects;
CREATE TRIGGER protect_objects_delete BEFORE DELETE ON storage.objects
	FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();

ALTER TABLE storage.migrations OWNER TO supabase_storage_admin;
ALTER TABLE storage.buckets OWNER TO supabase_storage_admin;
ALTER TABLE storage.objects OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.update_updated_at_column() OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.enforce_bucket_name_length() OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.protect_delete() OWNER TO supabase_storage_admin;

ALTER TABLE storage.migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;

GRANT ALL ON storage.buckets, storage.objects TO anon, authenticated, service_role;
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') THEN
		GRANT ALL ON storage.buckets, storage.objects TO postgres WITH GRANT OPTION;
	END IF;
END
$$;
