-- Every change of the schema tells the REST surface to read it again. Event
-- triggers need a superuser before PostgreSQL 16; where there is none,
-- NOTIFY pgrst, 'reload schema' does it by hand.
CREATE OR REPLACE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
	cmd record;
BEGIN
	FOR cmd IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
		IF cmd.object_type IN (
			'schema', 'table', 'table column', 'foreign table', 'view', 'materialized view', 'function', 'procedure',
			'trigger', 'type', 'domain constraint', 'table constraint', 'rule', 'aggregate', 'cast', 'index'
		) AND cmd.schema_name IS DISTINCT FROM 'pg_temp' THEN
			NOTIFY pgrst, 'reload schema';
			RETURN;
		END IF;
		IF cmd.command_tag IN ('COMMENT', 'GRANT', 'REVOKE', 'ALTER TABLE', 'CREATE TABLE AS', 'SELECT INTO') THEN
			NOTIFY pgrst, 'reload schema';
			RETURN;
		END IF;
	END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION extensions.pgrst_drop_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
	obj record;
BEGIN
	FOR obj IN SELECT * FROM pg_event_trigger_dropped_objects() LOOP
		IF NOT obj.is_temporary AND obj.object_type IN (
			'schema', 'table', 'table column', 'foreign table', 'view', 'materialized view', 'function', 'procedure',
			'trigger', 'type', 'domain constraint', 'table constraint', 'rule', 'aggregate', 'cast', 'index'
		) THEN
			NOTIFY pgrst, 'reload schema';
			RETURN;
		END IF;
	END LOOP;
END
$$;

DO $$
BEGIN
	DROP EVENT TRIGGER IF EXISTS pgrst_ddl_watch;
	DROP EVENT TRIGGER IF EXISTS pgrst_drop_watch;
	CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
	CREATE EVENT TRIGGER pgrst_drop_watch ON sql_drop EXECUTE FUNCTION extensions.pgrst_drop_watch();
EXCEPTION WHEN insufficient_privilege THEN
	RAISE NOTICE 'no event triggers: after a change of the schema, NOTIFY pgrst, ''reload schema''';
END
$$;
