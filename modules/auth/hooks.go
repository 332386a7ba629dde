package auth

import (
	"context"

	"github.com/madbase/madbase/modules/auth/hook"
	"github.com/madbase/madbase/platform/project"
)

// callHook sends the payload to the app's hook and reads its answer into out,
// which may be nil; nothing happens when the hook is off. A hook over HTTP may
// take seconds: call it outside of transactions. What makes its payload costly
// asks m.hooks.Enabled first.
func (m *Module) callHook(ctx context.Context, name hook.Name, payload, out any) error {
	return m.hooks.Call(ctx, project.From(ctx).DB.Auth, name, payload, out)
}
