-- The keys that derive from a project's secret, by their hash, so that requests with
-- one of them find the project while its secret is sealed.
ALTER TABLE madbase.projects ADD COLUMN key_hashes bytea[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN madbase.projects.key_hashes IS 'SHA-256 of the opaque keys that derive from the project''s secret.';
