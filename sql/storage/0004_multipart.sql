-- Uploads in parts, as the S3 protocol has them. The API roles may look, only the service writes.
CREATE TABLE IF NOT EXISTS storage.s3_multipart_uploads (
	id               text PRIMARY KEY,
	in_progress_size bigint NOT NULL DEFAULT 0,
	upload_signature text NOT NULL,
	bucket_id        text NOT NULL REFERENCES storage.buckets (id),
	key              text COLLATE "C" NOT NULL,
	version          text NOT NULL,
	owner_id         text,
	created_at       timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE storage.s3_multipart_uploads
	ADD COLUMN IF NOT EXISTS user_metadata jsonb,
	ADD COLUMN IF NOT EXISTS metadata jsonb;

CREATE TABLE IF NOT EXISTS storage.s3_multipart_uploads_parts (
	id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	upload_id   text NOT NULL REFERENCES storage.s3_multipart_uploads (id) ON DELETE CASCADE,
	size        bigint NOT NULL DEFAULT 0,
	part_number integer NOT NULL,
	bucket_id   text NOT NULL REFERENCES storage.buckets (id),
	key         text COLLATE "C" NOT NULL,
	etag        text NOT NULL,
	owner_id    text,
	version     text NOT NULL,
	created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS idx_multipart_uploads_list ON storage.s3_multipart_uploads (bucket_id, key, created_at);

DROP FUNCTION IF EXISTS storage.list_multipart_uploads_with_delimiter(text, text, text, integer, text, text);
CREATE FUNCTION storage.list_multipart_uploads_with_delimiter(
	bucket_id text, prefix_param text, delimiter_param text, max_keys integer DEFAULT 100,
	next_key_token text DEFAULT '', next_upload_token text DEFAULT ''
) RETURNS TABLE (key text, id text, created_at timestamptz) LANGUAGE sql STABLE AS $$
	SELECT DISTINCT ON (e.entry) e.entry, e.id, e.created_at
	FROM (
		SELECT coalesce(storage.get_common_prefix(u.key, prefix_param, delimiter_param), u.key) COLLATE "C" AS entry, u.id, u.created_at
		FROM storage.s3_multipart_uploads u
		WHERE u.bucket_id = $1 AND starts_with(u.key, coalesce(prefix_param, ''))
	) AS e
	WHERE CASE
		WHEN next_upload_token <> '' THEN e.id COLLATE "C" > next_upload_token
		ELSE next_key_token = '' OR e.entry > next_key_token
	END
	ORDER BY e.entry, e.created_at
	LIMIT max_keys
$$;

ALTER TABLE storage.s3_multipart_uploads OWNER TO supabase_storage_admin;
ALTER TABLE storage.s3_multipart_uploads_parts OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.list_multipart_uploads_with_delimiter(text, text, text, integer, text, text) OWNER TO supabase_storage_admin;
ALTER TABLE storage.s3_multipart_uploads ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.s3_multipart_uploads_parts ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts FROM anon, authenticated;
GRANT SELECT ON storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts TO anon, authenticated;
GRANT ALL ON storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts TO service_role;
