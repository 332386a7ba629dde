package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
)

// inboxSize is how many mails the dev inbox holds.
const inboxSize = 500

// InboxMail is a mail of the dev inbox.
type InboxMail struct {
	ID string
	At time.Time
	mail.Letter
}

// keepLetter puts a letter into the dev inbox, in the place of its draft.
func (m *Module) keepLetter(ctx context.Context, q mail.Queue, id string, letter mail.Letter) error {
	table, ok := q.(*tableQueue)
	if !ok {
		return errors.Join(mail.ErrRefused, errors.New("auth: this database has no dev inbox"))
	}
	sealed, err := m.mailer.sealer.Seal(id, letter)
	if err == nil {
		err = store.KeepOutgoing(ctx, table.project.DB.Auth, id, sealed, inboxSize)
	}
	if err != nil {
		return fmt.Errorf("auth: dev inbox: %w", err)
	}
	m.deps.Log.InfoContext(ctx, "a mail is in the dev inbox", "kind", letter.Kind, "open", m.mailer.inboxURL)
	return nil
}

// Inbox lists the newest limit mails of the dev inbox of the default project, newest first.
func (m *Module) Inbox(ctx context.Context, limit int) ([]InboxMail, error) {
	rows, err := store.Inbox(ctx, m.deps.Projects.Default().DB.Auth, limit)
	if err != nil {
		return nil, fmt.Errorf("auth: inbox: %w", err)
	}
	list := make([]InboxMail, 0, len(rows))
	for _, row := range rows {
		one := InboxMail{ID: row.ID, At: row.CreatedAt.UTC()}
		if err := m.mailer.sealer.Open(row.ID, row.Sealed, &one.Letter); err != nil {
			continue // of another secret: it cannot be read any more
		}
		list = append(list, one)
	}
	return list, nil
}

// EmptyInbox removes the mails of the dev inbox of the default project.
func (m *Module) EmptyInbox(ctx context.Context) error {
	if err := store.EmptyInbox(ctx, m.deps.Projects.Default().DB.Auth); err != nil {
		return fmt.Errorf("auth: inbox: %w", err)
	}
	return nil
}
