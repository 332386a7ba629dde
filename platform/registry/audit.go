package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/madbase/madbase/platform/db"
)

// Entry is a line of the audit log: who did what to which project.
type Entry struct {
	// Actor is who did it: "admin", or "madbase" for what a process does by itself.
	Actor string
	// Address is the client's, where there is one.
	Address string
	Project string
	// Action is what was done: "project.create".
	Action string
	// Detail becomes JSON. It must hold no secret.
	Detail any
}

func record(ctx context.Context, q db.Queryer, e Entry) error {
	detail := []byte("{}")
	if e.Detail != nil {
		var err error
		if detail, err = json.Marshal(e.Detail); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	_, err := q.Exec(ctx, `INSERT INTO madbase.audit_log (actor, address, project, action, detail) VALUES ($1, $2, $3, $4, $5)`,
		e.Actor, e.Address, e.Project, e.Action, string(detail))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}
