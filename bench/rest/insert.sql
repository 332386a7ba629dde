-- What madbase sends for it, in one pipeline.
\startpipeline
SELECT set_config('role', 'bench_anon', true) IS NULL OR set_config('request.jwt.claims', '{"role":"bench_anon"}', true) IS NULL OR set_config('request.jwt.claim.sub', '', true) IS NULL OR set_config('request.method', 'POST', true) IS NULL OR set_config('request.path', '/notes', true) IS NULL OR set_config('request.headers', '{"host":"127.0.0.1:18090","x-request-id":"fbda0188-fded-400b-9fc2-5a3f57604421"}', true) IS NULL OR set_config('request.cookies', '{}', true) IS NULL OR set_config('search_path', '"public"', true) IS NULL;
INSERT INTO "public"."notes" ("rank", "title") VALUES ('1'::integer, 'x'::text) RETURNING "notes"."id", "notes"."title", "notes"."rank", nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '');
\endpipeline
