package db

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// StartSpan opens a client span for a statement under ctx's span; end closes it
// with the statement's error. Outside a recorded trace both do nothing. Of the
// statement only its first word is kept: its text names the user's tables.
func StartSpan(ctx context.Context, sql string) (_ context.Context, end func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(error) {}
	}
	operation := operationOf(sql)
	ctx, span := parent.TracerProvider().Tracer("madbase/sql").Start(ctx, "SQL "+operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql"), attribute.String("db.operation.name", operation)))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "") // the text may quote a row
		}
		span.End()
	}
}

// operationOf is the statement's first word, as a name that cannot leak more.
func operationOf(sql string) string {
	word := strings.TrimLeft(sql, " \t\r\n(")
	end := strings.IndexFunc(word, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') })
	if end >= 0 {
		word = word[:end]
	}
	if word == "" || len(word) > 16 {
		return "STATEMENT"
	}
	return strings.ToUpper(word)
}
