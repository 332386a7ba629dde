package rls_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/rls"
	"github.com/madbase/madbase/platform/testkit"
)

// words is a sink that refuses the word "bad".
type words struct{ column, text string }

var errBad = errors.New("a bad word")

func (w *words) Columns(columns []pgconn.FieldDescription) error {
	*w = words{column: columns[0].Name}
	return nil
}

func (w *words) Row(values [][]byte) error {
	if string(values[0]) == "bad" {
		return errBad
	}
	w.text += " " + string(values[0])
	return nil
}

// TestSink reads rows into a sink, beside a statement whose result is returned, in
// one round trip and in an explicit transaction.
func TestSink(t *testing.T) {
	t.Parallel()
	p := testkit.NewProject(t)
	type runs func(context.Context, ...rls.Statement) (rls.Result, error)
	serve := func(of func(*rls.Tx) runs) echo.HandlerFunc {
		return rls.Handle(func(c echo.Context, tx *rls.Tx) (rls.Responder, error) {
			ctx, run, w := c.Request().Context(), of(tx), &words{}
			tx.Settings.ReadOnly = true
			into := func(sql string) rls.Statement { return rls.Statement{SQL: sql, Into: w, Aside: true} }
			count := rls.Statement{SQL: "SELECT 'then'"}
			if _, err := run(ctx, into("SELECT unnest('{a,bad,c}'::text[]) AS word"), count); !errors.Is(err, errBad) {
				t.Errorf("got %v, want the sink's error", err)
			}
			large := "SELECT repeat('x', n) FROM unnest('{1,5000000,2,6000000}'::int[]) n"
			if _, err := run(ctx, into(large), count); !errors.Is(err, rls.ErrLarge) {
				t.Errorf("got %v, want ErrLarge", err)
			}
			result, err := run(ctx, into("SELECT unnest('{a,b,c}'::text[]) AS word"), count)
			if err != nil {
				return nil, err
			}
			return text(rls.Result{Rows: [][][]byte{{[]byte(w.column + w.text + " " + string(result.Rows[0][0]))}}}), nil
		})
	}
	url := testkit.Serve(t, p.Project, "", probe{handlers: map[string]echo.HandlerFunc{
		"/together": serve(func(tx *rls.Tx) runs { return tx.Together }), "/run": serve(func(tx *rls.Tx) runs { return tx.Run }),
	}})
	for i, path := range strings.Fields("/together /run /together /run") {
		if status, body := call(t, url+path, ""); status != http.StatusOK || body != "word a b c then" {
			t.Errorf("%s: got %s %s", strconv.Itoa(i)+path, strconv.Itoa(status), body)
		}
	}
}
