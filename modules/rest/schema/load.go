package schema

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Load reads a snapshot of the exposed schemas over conn, in one read-only
// transaction so that its parts agree.
func Load(ctx context.Context, conn *pgx.Conn, exposed []string) (*Snapshot, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("schema: begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it has only read
	// Without a search path types print with their schema. A large catalog may
	// take longer than the login role's bound for requests.
	if _, err := tx.Exec(ctx, "SELECT set_config('search_path', '', true), set_config('statement_timeout', '60s', true)"); err != nil {
		return nil, fmt.Errorf("schema: prepare: %w", err)
	}
	l := loader{ctx: ctx, tx: tx, exposed: exposed}
	tables := loadRows[*Table](&l, "tables", tablesSQL)
	keys := loadRows[*foreignKey](&l, "foreign keys", foreignKeysSQL)
	computed := loadRows[*Relation](&l, "computed relationships", computedSQL)
	routines := loadRows[*Routine](&l, "functions", routinesSQL, exposed)
	views := loadRows[*view](&l, "views", viewsSQL)
	casts := loadRows[*Cast](&l, "casts", castsSQL)
	handlers := loadRows[*Handler](&l, "media type handlers", handlersSQL, exposed)
	primary := loadRows[*tableKey](&l, "primary keys", primaryKeysSQL)
	if l.err != nil {
		return nil, l.err
	}
	deps := newDependencies(views)
	deps.addPrimaryKeys(tables, primary)
	relations := relate(tables, keys, deps)
	relations = override(relations, computed)
	s := NewSnapshot(keepExposed(tables, exposed), exposedRelations(relations, exposed), routines, Conversions{casts, handlers})
	s.remember(relations)
	return s, nil
}

type loader struct {
	ctx     context.Context
	tx      pgx.Tx
	exposed []string
	err     error
}

// loadRows decodes each row of sql, which is one JSON object, into a T. After a
// failure it does nothing: the first one stays in l.err.
func loadRows[T any](l *loader, what, sql string, args ...any) []T {
	if l.err != nil {
		return nil
	}
	rows, err := l.tx.Query(l.ctx, sql, args...)
	if err != nil {
		l.err = fmt.Errorf("schema: read %s: %w", what, err)
		return nil
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v T, err error) {
		var text []byte
		if err = row.Scan(&text); err == nil {
			err = json.Unmarshal(text, &v)
		}
		return v, err
	})
	if err != nil {
		l.err = fmt.Errorf("schema: read %s: %w", what, err)
	}
	return all
}

func keepExposed(tables []*Table, exposed []string) []*Table {
	in := set(exposed)
	var kept []*Table
	for _, t := range tables {
		if in[t.Schema] {
			kept = append(kept, t)
		}
	}
	return kept
}

// exposedRelations drops what leads into or through a schema that is not exposed.
func exposedRelations(relations []*Relation, exposed []string) []*Relation {
	in := set(exposed)
	var kept []*Relation
	for _, r := range relations {
		if in[r.Table.Schema] && in[r.Foreign.Schema] && (r.Junction == nil || in[r.Junction.Table.Schema]) {
			kept = append(kept, r)
		}
	}
	return kept
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
