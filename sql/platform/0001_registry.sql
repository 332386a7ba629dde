-- The registry of projects. It stands in the control database alone, the one that
-- DATABASE_URL names; only its owner reads it. What is sealed is encrypted under
-- the master key (platform/registry).
CREATE SCHEMA IF NOT EXISTS madbase;

-- One row: the number of the registry's last change. Whoever follows the registry
-- compares it with what it has read.
CREATE TABLE madbase.registry (
	single boolean PRIMARY KEY DEFAULT true CHECK (single),
	version bigint NOT NULL DEFAULT 0
);
INSERT INTO madbase.registry DEFAULT VALUES;

-- A ref becomes part of host names, of a database's and of its login roles' names:
-- "supabase_storage_admin_" and 40 letters are as long as PostgreSQL allows.
CREATE TABLE madbase.projects (
	ref text PRIMARY KEY CHECK (ref ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
	name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
	status text NOT NULL DEFAULT 'creating' CHECK (status IN ('creating', 'active', 'suspended', 'deleting')),
	database text,
	database_url_sealed bytea,
	jwt_secret_sealed bytea,
	login_secret_sealed bytea,
	storage_prefix text NOT NULL UNIQUE,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	version bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN madbase.projects.database IS 'Its database in the control database''s cluster; NULL: database_url_sealed names another.';
COMMENT ON COLUMN madbase.projects.login_secret_sealed IS 'What the passwords of the project''s login roles derive from.';
COMMENT ON COLUMN madbase.projects.version IS 'The registry''s version when the project, a setting or a key of it changed last.';

CREATE TABLE madbase.project_settings (
	project text NOT NULL REFERENCES madbase.projects ON DELETE CASCADE,
	name text NOT NULL,
	value text,
	value_sealed bytea,
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (project, name),
	CHECK (num_nonnulls(value, value_sealed) = 1)
);

-- Keys that people made, beside the four that derive from a project's secret.
CREATE TABLE madbase.api_keys (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	project text NOT NULL REFERENCES madbase.projects ON DELETE CASCADE,
	type text NOT NULL CHECK (type IN ('publishable', 'secret')),
	name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
	description text NOT NULL DEFAULT '',
	prefix text NOT NULL,
	hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
	key_sealed bytea,
	created_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz,
	revoked_at timestamptz,
	last_used_at timestamptz
);
CREATE UNIQUE INDEX api_keys_name_idx ON madbase.api_keys (project, name) WHERE revoked_at IS NULL;
COMMENT ON COLUMN madbase.api_keys.hash IS 'SHA-256 of the whole key.';
COMMENT ON COLUMN madbase.api_keys.prefix IS 'The first letters, for people to tell keys apart.';

-- It outlives the projects that it tells of.
CREATE TABLE madbase.audit_log (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT now(),
	actor text NOT NULL,
	address text NOT NULL DEFAULT '',
	project text,
	action text NOT NULL,
	detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_project_idx ON madbase.audit_log (project, id);

-- Every change takes the next version and tells who listens. The lock on the one
-- row has versions become visible in their order.
CREATE FUNCTION madbase.next_registry_version() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	following bigint;
BEGIN
	UPDATE madbase.registry SET version = version + 1 RETURNING version INTO following;
	PERFORM pg_notify('madbase_registry', following::text);
	RETURN following;
END
$$;

CREATE FUNCTION madbase.project_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		PERFORM madbase.next_registry_version();
		RETURN OLD;
	END IF;
	NEW.version := madbase.next_registry_version();
	NEW.updated_at := now();
	RETURN NEW;
END
$$;
CREATE TRIGGER project_changed BEFORE INSERT OR UPDATE OR DELETE ON madbase.projects
	FOR EACH ROW EXECUTE FUNCTION madbase.project_changed();

CREATE FUNCTION madbase.part_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		UPDATE madbase.projects SET updated_at = now() WHERE ref = OLD.project;
	END IF;
	IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND NEW.project <> OLD.project THEN
		UPDATE madbase.projects SET updated_at = now() WHERE ref = NEW.project;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER setting_changed AFTER INSERT OR UPDATE OR DELETE ON madbase.project_settings
	FOR EACH ROW EXECUTE FUNCTION madbase.part_changed();
-- That a key was used is no change.
CREATE TRIGGER key_changed AFTER INSERT OR DELETE OR UPDATE OF project, type, name, hash, expires_at, revoked_at ON madbase.api_keys
	FOR EACH ROW EXECUTE FUNCTION madbase.part_changed();

-- The one of DATABASE_URL and the environment, so that settings and keys of it have
-- where to stand.
INSERT INTO madbase.projects (ref, name, status, storage_prefix) VALUES ('default', 'default', 'active', 'default');
