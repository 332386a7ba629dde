package exec

import (
	"context"
	"errors"
	"strconv"

	"github.com/madbase/madbase/modules/rest/schema"
	"github.com/madbase/madbase/modules/rest/sqlgen"
	"github.com/madbase/madbase/platform/rls"
)

// Notes reads what a description of the schema is to say: of all that is in it, or
// only of what the caller may use.
func Notes(ctx context.Context, tx *rls.Tx, of string, usable bool, how Options) (*schema.Notes, error) {
	run := tx.Together
	if how.PreRequest.Name != "" || tx.Settings.Isolation != "" {
		run = tx.Run
	}
	if how.PreRequest.Name != "" {
		if _, err := tx.Run(ctx, how.statement(sqlgen.Invoke(how.PreRequest))); err != nil {
			return nil, err
		}
	}
	answer, err := run(ctx, rls.Statement{SQL: schema.NotesSQL, Args: [][]byte{[]byte(of), strconv.AppendBool(nil, usable)}, Fresh: true})
	if err != nil {
		return nil, err
	}
	if len(answer.Rows) != 1 {
		return nil, errors.New("exec: the notes are not one row")
	}
	return schema.ParseNotes(answer.Rows[0][0])
}
