package schema

// Each query returns one JSON object a row, in the shape of the Go type that it
// is decoded into. They run with an empty search path, so that names of types
// and functions print with their schema.

// baseTypes resolves domains, also domains over domains, to the type below.
const baseTypes = `
RECURSIVE base_types (oid, base) AS (
	SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
	UNION ALL
	SELECT t.oid, b.base FROM pg_type t JOIN base_types b ON b.oid = t.typbasetype WHERE t.typtype = 'd'
)`

// tablesSQL lists tables with their columns. A generated identity's default is
// its sequence's next value; a domain's default stands in for a missing one.
const tablesSQL = `
WITH ` + baseTypes + `,
cols AS (
	SELECT a.attrelid, json_agg(json_build_object(
		'Name', a.attname,
		'Type', format_type(a.atttypid, a.atttypmod),
		'BaseType', format_type(bt.oid, NULL),
		'Default', coalesce(CASE
			WHEN t.typtype = 'd' AND d.adbin IS NULL THEN pg_get_expr(t.typdefaultbin, 0)
			WHEN a.attidentity = 'd' THEN (SELECT format('nextval(%L)', s.objid::regclass) FROM pg_depend s
				WHERE s.classid = 'pg_class'::regclass AND s.refclassid = 'pg_class'::regclass
				AND s.refobjid = a.attrelid AND s.refobjsubid = a.attnum AND s.deptype = 'i' LIMIT 1)
			WHEN a.attgenerated <> '' THEN NULL
			ELSE pg_get_expr(d.adbin, d.adrelid) END, ''),
		'Nullable', NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)),
		'Generated', a.attgenerated <> ''
	) ORDER BY a.attnum) AS columns
	FROM pg_attribute a
	JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
	JOIN pg_type t ON t.oid = a.atttypid
	JOIN base_types b ON b.oid = t.oid
	JOIN pg_type bt ON bt.oid = b.base
	LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE a.attnum > 0 AND NOT a.attisdropped
	GROUP BY a.attrelid
)
SELECT json_build_object(
	'Schema', n.nspname, 'Name', c.relname,
	'IsView', c.relkind IN ('v', 'm'),
	'Insertable', c.relkind IN ('r', 'p') OR c.relkind IN ('v', 'f') AND (pg_relation_is_updatable(c.oid, true) & 8) <> 0,
	'Updatable', c.relkind IN ('r', 'p') OR c.relkind IN ('v', 'f') AND (pg_relation_is_updatable(c.oid, true) & 4) <> 0,
	'Deletable', c.relkind IN ('r', 'p') OR c.relkind IN ('v', 'f') AND (pg_relation_is_updatable(c.oid, true) & 16) <> 0,
	'TakesAll', c.relkind = 'r' AND NOT c.relhasrules AND NOT EXISTS (SELECT FROM pg_trigger g
		WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 7 = 7), -- before each row's insert
	'Columns', coalesce(cols.columns, '[]')
)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN cols ON cols.attrelid = c.oid
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition
AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relpersistence <> 't'`

// primaryKeysSQL lists primary keys, their columns by name.
const primaryKeysSQL = `
SELECT json_build_object(
	'Schema', n.nspname, 'Name', c.relname, 'Oid', c.oid::bigint,
	'Numbers', (SELECT json_agg(a.attnum ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)),
	'Columns', (SELECT json_agg(a.attname ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)))
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`

// foreignKeysSQL lists foreign keys; those that a partition has from its parent
// are the parent's. A key over all columns of a unique one relates one to one.
const foreignKeysSQL = `
SELECT json_build_object(
	'Constraint', k.conname,
	'Table', json_build_object('Schema', n.nspname, 'Name', c.relname), 'TableOid', c.oid::bigint,
	'Foreign', json_build_object('Schema', fn.nspname, 'Name', fc.relname), 'ForeignOid', fc.oid::bigint,
	'Columns', p.pairs, 'Numbers', p.numbers, 'ForeignNumbers', p.fnumbers,
	'Unique', EXISTS (SELECT FROM pg_constraint u WHERE u.conrelid = k.conrelid AND u.contype IN ('p', 'u')
		AND u.conkey @> k.conkey AND u.conkey <@ k.conkey))
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class fc ON fc.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = fc.relnamespace
CROSS JOIN LATERAL (
	SELECT json_agg(json_build_object('Column', a.attname, 'Foreign', fa.attname) ORDER BY i) AS pairs,
		json_agg(a.attnum ORDER BY i) AS numbers, json_agg(fa.attnum ORDER BY i) AS fnumbers
	FROM unnest(k.conkey, k.confkey) WITH ORDINALITY AS u (col, fcol, i)
	JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.col
	JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = u.fcol
) p
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY n.nspname, c.relname, k.conname`

// computedSQL lists functions from one row type to another: relationships that users define.
const computedSQL = `
SELECT json_build_object(
	'Kind', 4,
	'Function', json_build_object('Schema', pn.nspname, 'Name', p.proname),
	'Table', json_build_object('Schema', an.nspname, 'Name', ac.relname),
	'Foreign', json_build_object('Schema', rn.nspname, 'Name', rc.relname),
	'SingleRow', NOT p.proretset OR p.prorows = 1, 'Self', ac.oid = rc.oid)
FROM pg_proc p
JOIN pg_namespace pn ON pn.oid = p.pronamespace
JOIN pg_class ac ON ac.reltype = p.proargtypes[0] AND ac.reltype <> 0 JOIN pg_namespace an ON an.oid = ac.relnamespace
JOIN pg_class rc ON rc.reltype = p.prorettype AND rc.reltype <> 0 JOIN pg_namespace rn ON rn.oid = rc.relnamespace
WHERE p.pronargs = 1 AND p.prokind = 'f'
AND ac.relkind IN ('r', 'v', 'm', 'f', 'p') AND rc.relkind IN ('r', 'v', 'm', 'f', 'p')`

// routinesSQL lists the functions of the schemas $1 that can be called: all
// parameters have names, or the only one is of a type that takes a whole body.
const routinesSQL = `
WITH ` + baseTypes + `
SELECT json_build_object(
	'Schema', n.nspname, 'Name', p.proname, 'Volatility', ascii(p.provolatile::text), 'Variadic', p.provariadic <> 0,
	'SetOf', p.proretset, 'Oid', p.oid::bigint, 'Settings', coalesce(to_json(p.proconfig), '[]'),
	'Composite', r.typtype = 'c' OR coalesce(p.proargmodes::text[] && '{t,b,o}', false),
	'Returns', json_build_object('Schema', rn.nspname, 'Name', coalesce(rc.relname, r.typname)),
	'Params', coalesce(a.params, '[]'))
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN base_types b ON b.oid = p.prorettype
JOIN pg_type r ON r.oid = b.base
JOIN pg_namespace rn ON rn.oid = r.typnamespace
LEFT JOIN pg_class rc ON rc.oid = r.typrelid
CROSS JOIN LATERAL (
	SELECT json_agg(json_build_object(
			'Name', coalesce(x.name, ''), 'Type', format_type(x.type, NULL),
			'MaxType', CASE x.type
				WHEN 'bit'::regtype THEN 'bit varying' WHEN 'bit[]'::regtype THEN 'bit varying[]'
				WHEN 'character'::regtype THEN 'character varying' WHEN 'character[]'::regtype THEN 'character varying[]'
				ELSE format_type(x.type, NULL) END,
			'Required', x.i <= p.pronargs - p.pronargdefaults, 'Variadic', coalesce(x.mode = 'v', false)) ORDER BY x.i) AS params,
		count(*) FILTER (WHERE coalesce(x.name, '') = '') AS unnamed,
		min(format_type(x.type, NULL)) AS type, count(*) AS n
	FROM (
		SELECT u.type, m.mode, m.name, u.i
		FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u (type, i)
		LEFT JOIN LATERAL (
			SELECT w.mode, w.name FROM (
				SELECT x.mode, x.name, row_number() OVER (ORDER BY x.j) AS k FROM (
					SELECT g.j, p.proargmodes[g.j] AS mode, p.proargnames[g.j] AS name FROM generate_series(1, greatest(cardinality(p.proargnames), cardinality(p.proargmodes), p.pronargs)) AS g (j)
				) x WHERE coalesce(x.mode, 'i') IN ('i', 'b', 'v')
			) w WHERE w.k = u.i
		) m ON true
	) x
) a
WHERE n.nspname = ANY ($1) AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
AND (a.unnamed = 0 OR a.n = 1 AND a.type IN ('bytea', 'json', 'jsonb', 'text', 'xml'))`

// viewsSQL lists views with their rewrite rules, which say where each column comes from.
const viewsSQL = `
SELECT json_build_object('Oid', c.oid::bigint, 'Schema', n.nspname, 'Name', c.relname, 'Rule', r.ev_action::text,
	'Columns', (SELECT json_object_agg(a.attnum, a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`

// castsSQL lists the casts by which domains are shown and read: implicit ones by
// a function between a domain and json or text.
const castsSQL = `
SELECT json_build_object('From', format_type(c.castsource, NULL), 'To', format_type(c.casttarget, NULL), 'Function', c.castfunc::regproc::text)
FROM pg_cast c
JOIN pg_type s ON s.oid = c.castsource
JOIN pg_type t ON t.oid = c.casttarget
WHERE c.castcontext = 'i' AND c.castmethod = 'f' AND has_function_privilege(c.castfunc, 'EXECUTE')
AND (s.typtype = 'd' AND c.casttarget IN ('json'::regtype, 'text'::regtype)
	OR t.typtype = 'd' AND c.castsource IN ('json'::regtype, 'text'::regtype))`

// handlersSQL lists the functions of the schemas $1 that make media types, which
// are domains named like them: aggregates over a table's rows or over any, and
// functions that return one such value. The name */* stands for all media types.
const handlersSQL = `
WITH media AS (
	SELECT t.oid, t.typname, n.nspname, CASE t.typname WHEN '*/*' THEN 'application/octet-stream' ELSE lower(t.typname) END AS made
	FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
	WHERE t.typtype = 'd' AND (t.typname = '*/*' OR t.typname ~ '^[A-Za-z0-9.-]+/[A-Za-z0-9.+-]+$')
)
SELECT json_build_object('Takes', lower(m.typname), 'Media', m.made,
	'Function', CASE p.prokind WHEN 'a' THEN json_build_object('Schema', n.nspname, 'Name', p.proname)
		ELSE json_build_object('Schema', m.nspname, 'Name', m.typname) END,
	'Target', CASE WHEN p.prokind = 'f' THEN json_build_object('Schema', n.nspname, 'Name', p.proname)
		WHEN c.oid IS NULL THEN json_build_object('Schema', '', 'Name', '')
		ELSE json_build_object('Schema', cn.nspname, 'Name', c.relname) END)
FROM media m
JOIN pg_proc p ON p.prorettype = m.oid
JOIN pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_class c ON p.pronargs = 1 AND c.reltype = p.proargtypes[0] AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
LEFT JOIN pg_namespace cn ON cn.oid = c.relnamespace
WHERE n.nspname = ANY ($1)
AND (p.prokind = 'f' AND NOT p.proretset
	OR p.prokind = 'a' AND p.pronargs = 1 AND (c.oid IS NOT NULL OR p.proargtypes[0] = 'anyelement'::regtype))`
