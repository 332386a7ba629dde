-- The workers that have told where proxies reach them. Each writes its row again
-- every second; seen_at is by this server's clock, so that no other one counts.
-- Nothing here outlives a crash on purpose: what lives writes it anew.
CREATE UNLOGGED TABLE madbase.workers (
	id uuid PRIMARY KEY,
	url text NOT NULL CHECK (length(url) <= 2000),
	version text NOT NULL DEFAULT '',
	role text NOT NULL,
	started_at timestamptz NOT NULL DEFAULT now(),
	seen_at timestamptz NOT NULL DEFAULT now(),
	draining boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50); -- leaves room to update a row where it stands
-- Who writes here receives requests with their tokens: nobody but the owner may.
REVOKE ALL ON madbase.workers FROM PUBLIC;
