-- Tables of bucket kinds that madbase does not serve yet, so that a project's dump restores.
CREATE TABLE IF NOT EXISTS storage.buckets_analytics (
	id         uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	name       text NOT NULL,
	type       storage.buckettype NOT NULL DEFAULT 'ANALYTICS',
	format     text NOT NULL DEFAULT 'ICEBERG',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	deleted_at timestamptz
);
CREATE TABLE IF NOT EXISTS storage.iceberg_namespaces (
	id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	bucket_name text NOT NULL,
	name        text COLLATE "C" NOT NULL,
	created_at  timestamptz NOT NULL DEFAULT now(),
	updated_at  timestamptz NOT NULL DEFAULT now(),
	metadata    jsonb NOT NULL DEFAULT '{}',
	catalog_id  uuid NOT NULL REFERENCES storage.buckets_analytics (id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS storage.iceberg_tables (
	id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	namespace_id    uuid NOT NULL REFERENCES storage.iceberg_namespaces (id) ON DELETE CASCADE,
	bucket_name     text NOT NULL,
	name            text COLLATE "C" NOT NULL,
	location        text NOT NULL,
	created_at      timestamptz NOT NULL DEFAULT now(),
	updated_at      timestamptz NOT NULL DEFAULT now(),
	remote_table_id text,
	shard_key       text,
	shard_id        text,
	catalog_id      uuid NOT NULL REFERENCES storage.buckets_analytics (id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS storage.buckets_vectors (
	id         text NOT NULL PRIMARY KEY,
	type       storage.buckettype NOT NULL DEFAULT 'VECTOR',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS storage.vector_indexes (
	id                     text PRIMARY KEY DEFAULT gen_random_uuid(),
	name                   text COLLATE "C" NOT NULL,
	bucket_id              text NOT NULL REFERENCES storage.buckets_vectors (id),
	data_type              text NOT NULL,
	dimension              integer NOT NULL,
	distance_metric        text NOT NULL,
	metadata_configuration jsonb,
	created_at             timestamptz NOT NULL DEFAULT now(),
	updated_at             timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT * FROM (VALUES
		('buckets_analytics',  'buckets_analytics_unique_name_idx',    'name) WHERE (deleted_at IS NULL'),
		('iceberg_namespaces', 'idx_iceberg_namespaces_bucket_id',     'catalog_id, name'),
		('iceberg_tables',     'idx_iceberg_tables_namespace_id',      'catalog_id, namespace_id, name'),
		('iceberg_tables',     'idx_iceberg_tables_location',          'location'),
		('vector_indexes',     'vector_indexes_name_bucket_id_idx',    'name, bucket_id')
	) AS indexes (tbl, name, columns) LOOP
		BEGIN
			EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS %I ON storage.%I (%s)', item.name, item.tbl, item.columns);
		EXCEPTION WHEN undefined_column THEN
			NULL; -- a restored table of an older shape
		END;
	END LOOP;
	FOR item IN SELECT * FROM (VALUES ('buckets_analytics'), ('iceberg_namespaces'), ('iceberg_tables'), ('buckets_vectors'), ('vector_indexes')) AS tables (tbl) LOOP
		EXECUTE format('ALTER TABLE storage.%I OWNER TO supabase_storage_admin', item.tbl);
		EXECUTE format('ALTER TABLE storage.%I ENABLE ROW LEVEL SECURITY', item.tbl);
		EXECUTE format('GRANT SELECT ON storage.%I TO anon, authenticated, service_role', item.tbl);
	END LOOP;
END
$$;
GRANT ALL ON storage.buckets_analytics TO anon, authenticated, service_role;
GRANT ALL ON storage.iceberg_namespaces, storage.iceberg_tables TO service_role;
