package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/modules/auth/mail"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
	"github.com/madbase/madbase/platform/project"
)

// mailer is how mails leave: what sendMail puts into a project's queue, a postman
// brings to the mail server, or into the dev inbox.
type mailer struct {
	cfg      mail.Config
	inboxURL string
	smtp     *mail.SMTP // nil without a mail server
	renderer *mail.Renderer
	sealer   *mail.Sealer
	postman  *mail.Postman
	// dropIn has queues in memory: the database has no table for them.
	dropIn bool
}

func (m *Module) newMailer() (*mailer, error) {
	sealer, err := mail.NewSealer(m.deps.MailSecret)
	if err != nil {
		return nil, err
	}
	ml := &mailer{
		cfg: m.cfg.Mail, inboxURL: m.deps.InboxURL, sealer: sealer, dropIn: m.deps.DropIn,
		renderer: mail.NewRenderer(m.cfg.Mail, m.cfg.SiteURL, m.deps.Log),
	}
	if m.cfg.Mail.Host != "" {
		if ml.smtp, err = mail.NewSMTP(m.cfg.Mail); err != nil {
			return nil, err
		}
	}
	ml.postman = mail.NewPostman(m.deliverMail, m.deps.Log)
	return ml, nil
}

// delivers reports whether mails go anywhere.
func (ml *mailer) delivers() bool { return ml.smtp != nil || ml.toInbox() }

// toInbox reports whether they go to the dev inbox.
func (ml *mailer) toInbox() bool { return ml.smtp == nil && ml.inboxURL != "" }

// startMail begins to deliver, also what an earlier process has left.
func (m *Module) startMail(ctx context.Context) {
	if !m.mailer.delivers() {
		if m.cfg.EmailEnabled && !m.cfg.Autoconfirm && !m.hooks.Enabled(hook.SendEmail) {
			m.deps.Log.WarnContext(ctx, "GOTRUE_SMTP_HOST is not set: no mail will leave")
		}
		return
	}
	if m.deps.Projects != nil {
		for _, p := range m.deps.Projects.All() {
			m.serveMail(p)
		}
	}
	m.mailer.postman.Start(ctx)
	if m.mailer.toInbox() {
		m.deps.Log.InfoContext(ctx, "mails land in the dev inbox, as GOTRUE_SMTP_HOST is not set", "open", m.mailer.inboxURL)
	}
}

// stopMail ends the delivery. What waits in memory is lost.
func (m *Module) stopMail(ctx context.Context) {
	m.mailer.postman.Stop(ctx)
	for _, q := range m.mailer.postman.Queues() {
		if memory, ok := q.(*memoryQueue); ok && memory.Len() > 0 {
			m.deps.Log.ErrorContext(ctx, "mails are lost, as this database has no outbox", "count", memory.Len())
		}
	}
}

// serveMail has the postman look into the project's queue, from now on.
func (m *Module) serveMail(p *project.Project) mailQueue {
	host := "localhost"
	if u, err := url.Parse(p.PublicURL); err == nil {
		host = cmp.Or(u.Hostname(), host)
	}
	var q mailQueue = &tableQueue{project: p, host: host, sealer: m.mailer.sealer}
	if m.mailer.dropIn {
		q = &memoryQueue{host: host}
	}
	return m.mailer.postman.Serve(p.Ref, q).(mailQueue)
}

// postMail puts the mails of msg down in tx. Without a mail server and an inbox
// they go nowhere, as in GoTrue, but for a line in the log.
func (m *Module) postMail(ctx context.Context, tx db.Queryer, msg mail.Message) error {
	if !m.mailer.delivers() {
		m.deps.Log.WarnContext(ctx, "a mail goes nowhere: GOTRUE_SMTP_HOST is not set", "kind", msg.Kind, "user", msg.User.ID)
		return nil
	}
	drafts, err := msg.Drafts(mail.Links{
		SiteURL: m.siteURL(ctx),
		Confirmation: func(kind mail.Kind, tokenHash, redirectTo string) string {
			return m.mailLink(ctx, kind, tokenHash, redirectTo)
		},
	})
	if err != nil {
		return fmt.Errorf("auth: send mail: %w", err)
	}
	slip := slipOf(ctx)
	if m.mailer.dropIn {
		transaction, err := store.CurrentTransaction(ctx, tx)
		if err != nil {
			return fmt.Errorf("auth: send mail: %w", err)
		}
		slip.drafts = append(slip.drafts, postedDrafts{transaction, drafts})
		return nil
	}
	for _, draft := range drafts {
		id := uuid.NewString()
		sealed, err := m.mailer.sealer.Seal(id, draft)
		if err == nil {
			err = store.InsertOutgoing(ctx, tx, store.Outgoing{ID: id, Kind: string(draft.Kind), Sealed: sealed})
		}
		if err != nil {
			return fmt.Errorf("auth: send mail: %w", err)
		}
	}
	slip.posted = true
	return nil
}

// mailSlip goes with a request and notes what was put down in its transactions.
type mailSlip struct {
	request *http.Request
	posted  bool
	drafts  []postedDrafts
	notices []postedNotice
	// rehearsal is set during a transaction that may ask the app's hooks over HTTP.
	rehearsal *rehearsal
}

// postedDrafts leave if their transaction has committed.
type postedDrafts struct {
	transaction string
	drafts      []mail.Draft
}

type mailSlipKey struct{}

// slipOf is the request's slip; outside of requests one that nobody reads.
func slipOf(ctx context.Context) *mailSlip {
	if slip, ok := ctx.Value(mailSlipKey{}).(*mailSlip); ok {
		return slip
	}
	return &mailSlip{}
}

// Around is the middleware of all of auth's routes: it gives a request its slip
// and the time that it may take and, once it is answered and so its transactions
// have ended, calls the postman.
func (m *Module) Around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		slip := &mailSlip{request: r}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), mailSlipKey{}, slip)))
		err := m.withinTime(next)(c)
		m.sendPosted(c.Request().Context())
		return err
	}
}

// sendPosted has what a request put down leave now. Call it outside of a transaction.
func (m *Module) sendPosted(ctx context.Context) {
	m.sendNotices(ctx)
	slip := slipOf(ctx)
	if !slip.posted && len(slip.drafts) == 0 {
		return
	}
	p := project.From(ctx)
	q := m.serveMail(p)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, posted := range slip.drafts {
		committed, err := store.Committed(ctx, p.DB.Auth, posted.transaction)
		if err != nil {
			m.deps.Log.ErrorContext(ctx, "a mail is lost", "error", err)
		}
		for _, draft := range posted.drafts {
			if memory, ok := q.(*memoryQueue); committed && ok && !memory.Add(uuid.NewString(), draft) {
				m.deps.Log.ErrorContext(ctx, "a mail is lost: too many wait", "kind", draft.Kind)
			}
		}
	}
	slip.posted, slip.drafts = false, nil
	m.mailer.postman.Wake()
}

// deliverMail writes a draft out and sends it, or keeps it for the dev inbox.
func (m *Module) deliverMail(ctx context.Context, q mail.Queue, item *mail.Item, draft mail.Draft) (kept bool, err error) {
	letter, err := m.mailer.renderer.Render(ctx, draft)
	if err != nil {
		return false, errors.Join(mail.ErrRefused, err)
	}
	host := q.(mailQueue).publicHost()
	if m.mailer.toInbox() {
		return true, m.keepLetter(ctx, q, item.ID, letter)
	}
	if err := m.mailer.smtp.Send(ctx, host, item.ID, letter); err != nil {
		m.deps.Metrics.GetOrCreateCounter(`madbase_auth_mails_total{result="failed"}`).Inc()
		return false, err
	}
	m.deps.Metrics.GetOrCreateCounter(`madbase_auth_mails_total{result="sent"}`).Inc()
	if m.cfg.Mail.LogSent {
		m.deps.Log.InfoContext(ctx, "mail.send", "event", "mail.send", "mail_type", letter.Kind, "mail_from", m.cfg.Mail.From(host).String(), "mail_to", letter.To)
	}
	return false, nil
}

// mailQueue is a queue that knows the host that its mails come from.
type mailQueue interface {
	mail.Queue
	publicHost() string
}

// memoryQueue is a drop-in's.
type memoryQueue struct {
	mail.Memory
	host string
}

func (q *memoryQueue) publicHost() string { return q.host }

// tableQueue is the outbox in a project's database.
type tableQueue struct {
	project *project.Project
	host    string
	sealer  *mail.Sealer
}

func (q *tableQueue) publicHost() string { return q.host }

// Claim implements mail.Queue.
func (q *tableQueue) Claim(ctx context.Context, lease time.Duration) (*mail.Item, error) {
	row, err := store.ClaimOutgoing(ctx, q.project.DB.Auth, lease)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("auth: outbox: %w", err)
	}
	return &mail.Item{
		ID: row.ID, Kind: mail.Kind(row.Kind), Attempts: row.Attempts, Age: row.Age,
		Draft: func() (d mail.Draft, err error) { return d, q.sealer.Open(row.ID, row.Sealed, &d) },
	}, nil
}

// Done implements mail.Queue.
func (q *tableQueue) Done(ctx context.Context, id string) error {
	return store.DeleteOutgoing(ctx, q.project.DB.Auth, id)
}

// Again implements mail.Queue.
func (q *tableQueue) Again(ctx context.Context, id string, after time.Duration) error {
	return store.PostponeOutgoing(ctx, q.project.DB.Auth, id, after)
}

// Waiting reports whether mails of the project p wait to leave. Who stops the module
// then leaves them to whoever starts it next.
func (m *Module) Waiting(ctx context.Context, p *project.Project) (bool, error) {
	if m.mailer.dropIn || !m.mailer.delivers() {
		return false, nil
	}
	return store.OutgoingWaits(ctx, p.DB.Auth)
}
