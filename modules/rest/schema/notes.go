package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Notes are what a description of a schema says besides its structure, of those
// tables and functions that it is to name.
type Notes struct {
	// Schema is the schema's comment.
	Schema string
	// Tables are by name, Routines by the functions' object ids: their comments.
	Tables   map[string]TableNotes
	Routines map[int64]string
}

// TableNotes are a table's comment and what is known of its columns.
type TableNotes struct {
	Comment string
	Columns map[string]ColumnNotes
}

// ColumnNotes are a column's comment, the values of its enum and its greatest length.
type ColumnNotes struct {
	Comment   string
	Enum      []string
	MaxLength int
}

// ParseNotes reads the one value that NotesSQL returns.
func ParseNotes(text []byte) (*Notes, error) {
	n := &Notes{}
	if err := json.Unmarshal(text, n); err != nil {
		return nil, fmt.Errorf("schema: read notes: %w", err)
	}
	return n, nil
}

// NotesSQL reads the Notes of the schema $1. With $2, only of what the current role
// may use.
const NotesSQL = `
WITH named AS (
	SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1
), notes AS (
	SELECT c.relname, json_build_object('Comment', coalesce(obj_description(c.oid, 'pg_class'), ''), 'Columns', (
		SELECT json_object_agg(a.attname, json_build_object(
			'Comment', coalesce(col_description(a.attrelid, a.attnum), ''),
			'Enum', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid IN (t.oid, t.typbasetype)),
			'MaxLength', coalesce(information_schema._pg_char_max_length(
				information_schema._pg_truetypid(a, t), information_schema._pg_truetypmod(a, t)), 0)))
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) AS note
	FROM pg_catalog.pg_class c
	WHERE c.relnamespace = (SELECT oid FROM named) AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition
	AND (NOT $2::bool OR pg_has_role(c.relowner, 'USAGE')
		OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
		OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
)
SELECT json_build_object(
	'Schema', coalesce(obj_description((SELECT oid FROM named), 'pg_namespace'), ''),
	'Tables', (SELECT coalesce(json_object_agg(relname, note), '{}') FROM notes),
	'Routines', (SELECT coalesce(json_object_agg(p.oid, coalesce(obj_description(p.oid, 'pg_proc'), '')), '{}')
		FROM pg_catalog.pg_proc p
		WHERE p.pronamespace = (SELECT oid FROM named) AND p.prokind = 'f' AND (NOT $2::bool OR has_function_privilege(p.oid, 'EXECUTE'))))`

// Noted are the tables and functions of a schema that n has notes of, by name.
func (s *Snapshot) Noted(schema string, n *Notes) (tables []*Table, routines []*Routine) {
	for name, t := range s.tables {
		if _, noted := n.Tables[name.Name]; noted && name.Schema == schema {
			tables = append(tables, t)
		}
	}
	for name, overloads := range s.routines {
		for _, r := range overloads {
			if _, noted := n.Routines[r.Oid]; noted && name.Schema == schema {
				routines = append(routines, r)
			}
		}
	}
	slices.SortFunc(tables, func(a, b *Table) int { return cmp.Compare(a.Name.Name, b.Name.Name) })
	slices.SortStableFunc(routines, func(a, b *Routine) int {
		return cmp.Or(cmp.Compare(a.Name.Name, b.Name.Name), cmp.Compare(len(a.Params), len(b.Params)))
	})
	return tables, routines
}
