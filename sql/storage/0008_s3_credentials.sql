-- Access keys of the S3 protocol that an administrator made, beside the project's own
-- pair. Signatures need the secret itself, so it is kept sealed and not hashed.
CREATE SCHEMA IF NOT EXISTS madbase;
CREATE TABLE IF NOT EXISTS madbase.s3_credentials (
	id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	description text NOT NULL CHECK (char_length(description) BETWEEN 3 AND 2000),
	access_key  text NOT NULL UNIQUE,
	secret      bytea NOT NULL,
	claims      json NOT NULL,
	created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN madbase.s3_credentials.secret IS 'The secret key, encrypted for this access key.';
COMMENT ON COLUMN madbase.s3_credentials.claims IS 'Whom the key acts as: what a JSON Web Token of theirs would say.';
-- Storage's own role and nobody else.
REVOKE ALL ON madbase.s3_credentials FROM PUBLIC;
GRANT USAGE ON SCHEMA madbase TO supabase_storage_admin;
GRANT SELECT, INSERT, DELETE ON madbase.s3_credentials TO supabase_storage_admin;
