package telemetry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// SQL returns the tracer for database pools; nil when no traces are sent, so
// that pgx does not call anything. Pipelines, which pgx does not trace, open
// their spans themselves with db.StartSpan.
func (t *Telemetry) SQL() pgx.QueryTracer {
	if t == nil || t.Tracer == nil {
		return nil
	}
	return sqlTracer{}
}

// sqlTracer makes a span of every statement, batch and COPY below a request's span.
type sqlTracer struct{}

type endKey struct{}

func start(ctx context.Context, sql string) context.Context {
	ctx, end := db.StartSpan(ctx, sql)
	return context.WithValue(ctx, endKey{}, end)
}

func end(ctx context.Context, err error) {
	if end, ok := ctx.Value(endKey{}).(func(error)); ok {
		end(err)
	}
}

func (sqlTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return start(ctx, data.SQL)
}

func (sqlTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, data.Err)
}

func (sqlTracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return start(ctx, "BATCH")
}

func (sqlTracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (sqlTracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	end(ctx, data.Err)
}

func (sqlTracer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return start(ctx, "COPY")
}

func (sqlTracer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	end(ctx, data.Err)
}
