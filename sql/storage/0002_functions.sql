-- What policies ask about an object's name and about the operation under way.
CREATE OR REPLACE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	tokens text[] := string_to_array(name, '/');
BEGIN
	RETURN tokens[1:cardinality(tokens) - 1];
END
$$;

CREATE OR REPLACE FUNCTION storage.filename(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	tokens text[] := string_to_array(name, '/');
BEGIN
	RETURN tokens[cardinality(tokens)];
END
$$;

-- The text after the file name's last dot; the whole file name when it has none.
CREATE OR REPLACE FUNCTION storage.extension(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	parts text[] := string_to_array(storage.filename(name), '.');
BEGIN
	RETURN parts[cardinality(parts)];
END
$$;

CREATE OR REPLACE FUNCTION storage.operation() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN current_setting('storage.operation', true);
END
$$;

-- Operations are named with or without the leading "storage.".
CREATE OR REPLACE FUNCTION storage.allow_only_operation(expected_operation text) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT coalesce(
		expected_operation <> ''
		AND regexp_replace(storage.operation(), '^storage\.', '') = regexp_replace(expected_operation, '^storage\.', ''),
		false)
$$;

CREATE OR REPLACE FUNCTION storage.allow_any_operation(expected_operations text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT coalesce(bool_or(storage.allow_only_operation(wanted)), false) FROM unnest(expected_operations) AS wanted
$$;

DROP FUNCTION IF EXISTS storage.get_size_by_bucket();
CREATE FUNCTION storage.get_size_by_bucket() RETURNS TABLE (size bigint, bucket_id text) LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY
		SELECT sum((o.metadata ->> 'size')::bigint)::bigint, o.bucket_id FROM storage.objects o GROUP BY o.bucket_id;
END
$$;

-- Tries an insert and undoes it by an error of its own: PT200 tells that it would have passed.
CREATE OR REPLACE FUNCTION storage.can_insert_object(bucketid text, name text, owner uuid, metadata jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO storage.objects (bucket_id, name, owner, metadata) VALUES (bucketid, name, owner, metadata);
	RAISE SQLSTATE 'PT200' USING MESSAGE = 'ROLLBACK', DETAIL = 'rollback successful insert';
END
$$;

ALTER FUNCTION storage.foldername(text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.filename(text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.extension(text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.operation() OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.allow_only_operation(text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.allow_any_operation(text[]) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.get_size_by_bucket() OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.can_insert_object(text, text, uuid, jsonb) OWNER TO supabase_storage_admin;
