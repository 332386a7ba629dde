-- Listing one level of a bucket as if it had folders. All run with the caller's
-- rights, so that policies decide what is seen.
--
-- Sorted by name, a listing walks an index in the order of bytes and jumps over a
-- whole folder once its first object is met: its cost grows with what is answered
-- and not with what the folders hold. chr(1) is the least and chr(1114111) the
-- greatest character that may follow a name.

CREATE OR REPLACE FUNCTION storage.get_common_prefix(p_key text, p_prefix text, p_delimiter text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT p_prefix || left(rest, nullif(strpos(rest, p_delimiter), 0) + length(p_delimiter) - 1)
	FROM (SELECT substr(p_key, length(p_prefix) + 1)) AS key (rest)
$$;

DROP FUNCTION IF EXISTS storage.list_objects_with_delimiter(text, text, text, integer, text, text);
DROP FUNCTION IF EXISTS storage.list_objects_with_delimiter(text, text, text, integer, text, text, text);
-- start_after is the last name of the page before: of an object, or of a folder
-- with its final delimiter or, where no object has that name, without it.
CREATE FUNCTION storage.list_objects_with_delimiter(
	_bucket_id text, prefix_param text, delimiter_param text, max_keys integer DEFAULT 100,
	start_after text DEFAULT '', next_token text DEFAULT '', sort_order text DEFAULT 'asc'
) RETURNS TABLE (name text, id uuid, metadata jsonb, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	wanted    text := coalesce(prefix_param, '');
	ascending boolean := lower(coalesce(sort_order, 'asc')) <> 'desc';
	after     text := coalesce(nullif(next_token, ''), start_after, '');
	low       text COLLATE "C" := wanted;
	high      text COLLATE "C" := wanted || chr(1114111);
	place     refcursor;
	o         record;
	folder    text;
	given     integer := 0;
BEGIN
	IF after <> '' THEN
		IF right(after, length(delimiter_param)) <> delimiter_param
			AND NOT EXISTS (SELECT FROM storage.objects x WHERE x.bucket_id = _bucket_id AND x.name = after)
			AND EXISTS (
				SELECT FROM storage.objects x WHERE x.bucket_id = _bucket_id
				AND x.name COLLATE "C" > after || delimiter_param AND x.name COLLATE "C" < after || delimiter_param || chr(1114111))
		THEN
			after := after || delimiter_param;
		END IF;
		IF NOT ascending THEN
			high := least(high, after COLLATE "C");
		ELSIF right(after, length(delimiter_param)) = delimiter_param THEN
			low := greatest(low, after || chr(1114111) COLLATE "C");
		ELSE
			low := greatest(low, after || chr(1) COLLATE "C");
		END IF;
	END IF;

	WHILE given < max_keys LOOP
		folder := NULL;
		IF ascending THEN
			OPEN place FOR SELECT x.name, x.id, x.metadata, x.updated_at, x.created_at, x.last_accessed_at FROM storage.objects x
				WHERE x.bucket_id = _bucket_id AND x.name COLLATE "C" >= low AND x.name COLLATE "C" < high ORDER BY x.name COLLATE "C";
		ELSE
			OPEN place FOR SELECT x.name, x.id, x.metadata, x.updated_at, x.created_at, x.last_accessed_at FROM storage.objects x
				WHERE x.bucket_id = _bucket_id AND x.name COLLATE "C" >= low AND x.name COLLATE "C" < high ORDER BY x.name COLLATE "C" DESC;
		END IF;
		WHILE given < max_keys LOOP
			FETCH place INTO o;
			EXIT WHEN NOT FOUND;
			given := given + 1;
			folder := storage.get_common_prefix(o.name, wanted, delimiter_param);
			IF folder IS NOT NULL THEN
				name := left(folder, -length(delimiter_param));
				id := NULL; metadata := NULL; updated_at := NULL; created_at := NULL; last_accessed_at := NULL;
				RETURN NEXT;
				EXIT;
			END IF;
			name := o.name; id := o.id; metadata := o.metadata;
			updated_at := o.updated_at; created_at := o.created_at; last_accessed_at := o.last_accessed_at;
			RETURN NEXT;
		END LOOP;
		CLOSE place;
		EXIT WHEN folder IS NULL;
		IF ascending THEN
			low := folder || chr(1114111);
		ELSE
			high := folder;
		END IF;
	END LOOP;
END
$$;

DROP FUNCTION IF EXISTS storage.search_by_timestamp(text, text, integer, integer, text, text, text, text);
CREATE FUNCTION storage.search_by_timestamp(
	p_prefix text, p_bucket_id text, p_limit integer, p_level integer,
	p_start_after text, p_sort_order text, p_sort_column text, p_sort_column_after text
) RETURNS TABLE (key text, name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	direction text := CASE WHEN p_sort_order = 'desc' THEN 'DESC' ELSE 'ASC' END;
	beyond    text := CASE WHEN p_sort_order = 'desc' THEN '<' ELSE '>' END;
	sorted_by text := CASE WHEN p_sort_column = 'updated_at' THEN 'updated_at' ELSE 'created_at' END;
BEGIN
	-- A folder is as old as its oldest object.
	RETURN QUERY EXECUTE format($q$
		WITH found AS (
			SELECT o.*, storage.get_common_prefix(o.name, $1, '/') AS folder FROM storage.objects o
			WHERE o.bucket_id = $2 AND o.name COLLATE "C" >= $1 AND o.name COLLATE "C" < $1 || chr(1114111)
		), entries AS (
			SELECT left(f.folder, -1) AS name, NULL::uuid AS id, min(f.created_at) AS updated_at, min(f.created_at) AS created_at,
				NULL::timestamptz AS last_accessed_at, NULL::jsonb AS metadata
			FROM found f WHERE f.folder IS NOT NULL GROUP BY f.folder
			UNION ALL
			SELECT f.name, f.id, f.updated_at, f.created_at, f.last_accessed_at, f.metadata FROM found f WHERE f.folder IS NULL
		)
		SELECT split_part(e.name, '/', $3), e.name, e.id, e.updated_at, e.created_at, e.last_accessed_at, e.metadata FROM entries e
		WHERE $5 = '' OR (coalesce(date_trunc('milliseconds', e.%1$I), 'epoch'), e.name COLLATE "C")
			%2$s (coalesce(nullif($6, '')::timestamptz, 'epoch'), $5 COLLATE "C")
		ORDER BY coalesce(date_trunc('milliseconds', e.%1$I), 'epoch') %3$s, e.name COLLATE "C" %3$s
		LIMIT $4
	$q$, sorted_by, beyond, direction)
	USING coalesce(p_prefix, ''), p_bucket_id, p_level, p_limit, coalesce(p_start_after, ''), coalesce(p_sort_column_after, '');
END
$$;

DROP FUNCTION IF EXISTS storage.search_v2(text, text, integer, integer, text);
DROP FUNCTION IF EXISTS storage.search_v2(text, text, integer, integer, text, text, text, text);
CREATE FUNCTION storage.search_v2(
	prefix text, bucket_name text, limits integer DEFAULT 100, levels integer DEFAULT 1,
	start_after text DEFAULT '', sort_order text DEFAULT 'asc', sort_column text DEFAULT 'name', sort_column_after text DEFAULT ''
) RETURNS TABLE (key text, name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	bounded integer := least(coalesce(limits, 100), 1500);
	ordered text := CASE WHEN lower(sort_order) = 'desc' THEN 'desc' ELSE 'asc' END;
BEGIN
	IF lower(sort_column) IN ('updated_at', 'created_at') THEN
		RETURN QUERY SELECT * FROM storage.search_by_timestamp(
			prefix, bucket_name, bounded, levels, start_after, ordered, lower(sort_column), sort_column_after);
	ELSE
		RETURN QUERY SELECT split_part(l.name, '/', levels), l.name, l.id, l.updated_at, l.created_at, l.last_accessed_at, l.metadata
			FROM storage.list_objects_with_delimiter(bucket_name, coalesce(prefix, ''), '/', bounded, start_after, '', ordered) l;
	END IF;
END
$$;

-- One level of the folder "prefix", compared without regard to case; "search" is
-- how the names in it begin. Sorted by a time, folders come first and both are
-- patterns of LIKE, whose special characters the caller has escaped.
DROP FUNCTION IF EXISTS storage.search(text, text, integer, integer, integer);
DROP FUNCTION IF EXISTS storage.search(text, text, integer, integer, integer, text, text, text);
CREATE FUNCTION storage.search(
	prefix text, bucketname text, limits integer DEFAULT 100, levels integer DEFAULT 1, offsets integer DEFAULT 0,
	search text DEFAULT '', sortcolumn text DEFAULT 'name', sortorder text DEFAULT 'asc'
) RETURNS TABLE (name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	ascending boolean := lower(coalesce(sortorder, 'asc')) <> 'desc';
	bounded   integer := least(coalesce(limits, 100), 1500);
	base      integer := length(coalesce(prefix, ''));
	wanted    text := coalesce(prefix, '') || coalesce(search, '');
	low       text COLLATE "C" := lower(wanted);
	high      text COLLATE "C" := lower(wanted) || chr(1114111);
	first     integer;
	last      integer;
	place     refcursor;
	o         record;
	folder    text;
	passed    integer := 0;
	given     integer := 0;
BEGIN
	IF lower(sortcolumn) IN ('updated_at', 'created_at', 'last_accessed_at') THEN
		first := greatest(cardinality(string_to_array(coalesce(prefix, ''), '/')), 1);
		last := greatest(cardinality(string_to_array(wanted, '/')), 1);
		RETURN QUERY EXECUTE format($q$
			(
				SELECT DISTINCT array_to_string(o.path_tokens[$1:$2], '/') AS folder,
					NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::jsonb
				FROM storage.objects o WHERE o.bucket_id = $3 AND o.name ILIKE $4 || '%%' AND cardinality(o.path_tokens) > $2
				ORDER BY folder %2$s
			) UNION ALL (
				SELECT array_to_string(o.path_tokens[$1:$2], '/'), o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata
				FROM storage.objects o WHERE o.bucket_id = $3 AND o.name ILIKE $4 || '%%' AND cardinality(o.path_tokens) = $2
				ORDER BY o.%1$I %2$s, o.name %2$s
			) LIMIT $5 OFFSET $6
		$q$, lower(sortcolumn), CASE WHEN ascending THEN 'ASC' ELSE 'DESC' END)
		USING first, last, bucketname, wanted, bounded, coalesce(offsets, 0);
		RETURN;
	END IF;

	WHILE given < bounded LOOP
		folder := NULL;
		IF ascending THEN
			OPEN place FOR SELECT x.name, x.id, x.updated_at, x.created_at, x.last_accessed_at, x.metadata FROM storage.objects x
				WHERE x.bucket_id = bucketname AND lower(x.name) COLLATE "C" >= low AND lower(x.name) COLLATE "C" < high
				ORDER BY lower(x.name) COLLATE "C";
		ELSE
			OPEN place FOR SELECT x.name, x.id, x.updated_at, x.created_at, x.last_accessed_at, x.metadata FROM storage.objects x
				WHERE x.bucket_id = bucketname AND lower(x.name) COLLATE "C" >= low AND lower(x.name) COLLATE "C" < high
				ORDER BY lower(x.name) COLLATE "C" DESC;
		END IF;
		WHILE given < bounded LOOP
			FETCH place INTO o;
			EXIT WHEN NOT FOUND;
			folder := storage.get_common_prefix(o.name, left(o.name, length(wanted)), '/');
			IF passed < coalesce(offsets, 0) THEN
				passed := passed + 1;
			ELSE
				given := given + 1;
				name := substr(coalesce(left(folder, -1), o.name), base + 1);
				IF folder IS NULL THEN
					id := o.id; updated_at := o.updated_at; created_at := o.created_at;
					last_accessed_at := o.last_accessed_at; metadata := o.metadata;
				ELSE
					id := NULL; updated_at := NULL; created_at := NULL; last_accessed_at := NULL; metadata := NULL;
				END IF;
				RETURN NEXT;
			END IF;
			EXIT WHEN folder IS NOT NULL;
		END LOOP;
		CLOSE place;
		EXIT WHEN folder IS NULL;
		IF ascending THEN
			low := lower(folder) || chr(1114111);
		ELSE
			high := lower(folder);
		END IF;
	END LOOP;
END
$$;

ALTER FUNCTION storage.get_common_prefix(text, text, text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.list_objects_with_delimiter(text, text, text, integer, text, text, text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.search_by_timestamp(text, text, integer, integer, text, text, text, text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.search_v2(text, text, integer, integer, text, text, text, text) OWNER TO supabase_storage_admin;
ALTER FUNCTION storage.search(text, text, integer, integer, integer, text, text, text) OWNER TO supabase_storage_admin;
