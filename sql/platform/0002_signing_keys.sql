-- Keys that sign a project's tokens, beside those of its configuration, which the id
-- 'configured' stands for. Without a key in use the configured ones sign.
CREATE TABLE madbase.signing_keys (
	project text NOT NULL REFERENCES madbase.projects ON DELETE CASCADE,
	id text NOT NULL CHECK (length(id) BETWEEN 1 AND 100),
	algorithm text NOT NULL,
	status text NOT NULL CHECK (status IN ('standby', 'in_use', 'previously_used', 'revoked')),
	key_sealed bytea,
	created_at timestamptz NOT NULL DEFAULT now(),
	changed_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (project, id),
	CHECK (id = 'configured' OR (key_sealed IS NULL) = (status = 'revoked'))
);
CREATE UNIQUE INDEX signing_keys_in_use_idx ON madbase.signing_keys (project) WHERE status = 'in_use';
CREATE UNIQUE INDEX signing_keys_standby_idx ON madbase.signing_keys (project) WHERE status = 'standby';
COMMENT ON COLUMN madbase.signing_keys.id IS 'The kid of the tokens that the key signs.';
COMMENT ON COLUMN madbase.signing_keys.key_sealed IS 'The private key as a JSON Web Key; a revoked key''s is gone.';

CREATE TRIGGER signing_key_changed AFTER INSERT OR UPDATE OR DELETE ON madbase.signing_keys
	FOR EACH ROW EXECUTE FUNCTION madbase.part_changed();
