package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/madbase/madbase/platform/db"
)

// Clock is a column of auth.users that says when something was last sent to the user.
type Clock int

// The clocks. Recovery and magic link share one, as do confirmation and invitation.
const (
	ClockConfirmation Clock = iota
	ClockRecovery
	ClockEmailChange
	ClockReauthentication
	ClockPhoneChange
)

// Each takes the user's id ($1) and the least time since the last one ($2). What
// this same transaction has written does not count.
var takeClock = map[Clock]string{
	ClockConfirmation:     takeClockOf("confirmation_sent_at"),
	ClockRecovery:         takeClockOf("recovery_sent_at"),
	ClockEmailChange:      takeClockOf("email_change_sent_at"),
	ClockReauthentication: takeClockOf("reauthentication_sent_at"),
	ClockPhoneChange:      takeClockOf("phone_change_sent_at"),
}

func takeClockOf(column string) string {
	return `WITH old AS (SELECT id, ` + column + ` AS at FROM auth.users WHERE id = $1 FOR NO KEY UPDATE), new AS (
			UPDATE auth.users u SET ` + column + ` = now(), updated_at = now() FROM old
			WHERE u.id = old.id AND (old.at IS NULL OR old.at = now() OR old.at <= now() - $2::interval)
			RETURNING u.id
		)
		SELECT now(), CASE WHEN new.id IS NULL THEN old.at + $2::interval - now() END FROM old LEFT JOIN new ON new.id = old.id`
}

// TakeClock sets a user's clock to the transaction's time, at, unless it was set
// less than every ago: then wait is how long it still lasts, more than 0. Of several at
// once one is let through: the others wait for its transaction.
func TakeClock(ctx context.Context, q db.Queryer, userID string, c Clock, every time.Duration) (at time.Time, wait time.Duration, err error) {
	var left *time.Duration
	err = q.QueryRow(ctx, takeClock[c], userID, every).Scan(&at, &left)
	if errors.Is(err, pgx.ErrNoRows) {
		return at, 0, ErrNotFound
	}
	if err != nil {
		return at, 0, fmt.Errorf("store: take clock: %w", err)
	}
	if left != nil {
		wait = max(*left, time.Microsecond)
	}
	return at.UTC(), wait, nil
}
