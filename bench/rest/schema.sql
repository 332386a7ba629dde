-- Tables of the REST benchmark, with row level security on. The roles end with the run.
CREATE ROLE bench_anon;
CREATE ROLE bench_login LOGIN NOINHERIT PASSWORD 'bench';
GRANT bench_anon TO bench_login;
GRANT USAGE ON SCHEMA public TO bench_anon;
CREATE TABLE items (id int PRIMARY KEY, owner uuid, title text, rank int);
INSERT INTO items SELECT i, gen_random_uuid(), 'title ' || i, i % 10 FROM generate_series(1, 10000) i;
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text, rank int);
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON items USING (true);
CREATE POLICY open ON notes USING (true) WITH CHECK (true);
CREATE TABLE large AS SELECT i AS id, repeat(md5(i::text), 320) AS text FROM generate_series(1, 10000) i;
GRANT ALL ON items, notes, large TO bench_anon;
VACUUM ANALYZE;
