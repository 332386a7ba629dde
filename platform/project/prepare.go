package project

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/migrate"
)

// Prepare brings the database at ownerURL up to date with lines, in their order,
// and gives madbase's login roles their passwords. It may run in several
// processes at once, and again at every start.
func Prepare(ctx context.Context, ownerURL string, logins Logins, log *slog.Logger, lines []migrate.Line) error {
	if _, err := pgx.ParseConfig(ownerURL); err != nil {
		return errors.New("project: the owner's connection string is malformed") // the cause may quote the password
	}
	conn, err := pgx.Connect(ctx, ownerURL)
	if err != nil {
		return fmt.Errorf("project: connect as the owner: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return migrate.Run(ctx, conn, log, lines, func(ctx context.Context, conn *pgx.Conn) error {
		return Provision(ctx, conn, logins)
	})
}
