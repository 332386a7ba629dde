package auth

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/platform/db"
)

// What the audit log tells of, with GoTrue's names.
const (
	actionChallengeCreated   = "challenge_created"
	actionFactorDeleted      = "factor_deleted"
	actionFactorEnrolling    = "factor_in_progress"
	actionFactorUnenrolled   = "factor_unenrolled"
	actionFactorUpdated      = "factor_updated"
	actionFactorVerification = "verification_attempted"
	actionPasskeyCreated     = "passkey_created"
	actionPasskeyDeleted     = "passkey_deleted"
	actionPasskeyUpdated     = "passkey_updated"
	actionLogin              = "login"
	actionLogout             = "logout"
	actionRepeatedSignup     = "user_repeated_signup"
	actionSignedUp           = "user_signedup"
	actionTokenRefreshed     = "token_refreshed"
	actionTokenRevoked       = "token_revoked"
	actionUserDeleted        = "user_deleted"
	actionUserModified       = "user_modified"
	actionUpdatedPassword    = "user_updated_password"
	actionCustomCreated      = "custom_provider_created"
	actionCustomDeleted      = "custom_provider_deleted"
	actionCustomUpdated      = "custom_provider_updated"
	actionIdentityLinked     = "identity_linked"
	actionIdentityUnlinked   = "identity_unlinked"
	actionInviteAccepted     = "invite_accepted"
	actionConfirmation       = "user_confirmation_requested"
	actionInvited            = "user_invited"
	actionReauthenticate     = "user_reauthenticate_requested"
	actionRecovery           = "user_recovery_requested"
)

// logTypes sort the actions.
var logTypes = map[string]string{
	actionCustomCreated: "team", actionCustomDeleted: "team", actionCustomUpdated: "team",
	actionIdentityLinked: "user", actionIdentityUnlinked: "user", actionInviteAccepted: "account",
	actionLogin: "account", actionLogout: "account", actionSignedUp: "team", actionUserDeleted: "team", actionTokenRefreshed: "token",
	actionTokenRevoked: "token", actionUserModified: "user", actionRepeatedSignup: "user", actionUpdatedPassword: "user",
	actionChallengeCreated: "factor", actionFactorDeleted: "factor", actionFactorEnrolling: "factor", actionFactorUnenrolled: "factor",
	actionFactorUpdated: "factor", actionFactorVerification: "factor", actionPasskeyCreated: "user", actionPasskeyDeleted: "user",
	actionPasskeyUpdated: "user",
	actionConfirmation:   "user", actionInvited: "team", actionReauthenticate: "user", actionRecovery: "user",
}

// addressed are the actions with which GoTrue keeps the caller's address.
var addressed = []string{
	actionChallengeCreated, actionFactorDeleted, actionFactorEnrolling, actionFactorUnenrolled, actionFactorVerification,
	actionIdentityLinked, actionIdentityUnlinked, actionPasskeyCreated, actionPasskeyDeleted, actionPasskeyUpdated,
}

// admin is who calls an admin route: a role, not a person.
type admin struct{ role string }

// audit notes what the user did; traits may be nil.
func (m *Module) audit(ctx context.Context, q db.Queryer, u *store.User, action string, traits map[string]any) error {
	name := u.Email
	if u.Phone != "" {
		name = u.Phone
	}
	payload := map[string]any{"actor_id": u.ID, "actor_via_sso": u.IsSSO, "actor_username": name}
	var metadata map[string]any
	if json.Unmarshal(u.UserMetadata, &metadata) == nil && metadata["full_name"] != nil {
		payload["actor_name"] = metadata["full_name"]
	}
	return m.writeAudit(ctx, q, action, payload, traits)
}

// about are the traits of an entry on what was done to the user u.
func about(u *store.User) map[string]any {
	return map[string]any{"user_id": u.ID, "user_email": u.Email, "user_phone": u.Phone}
}

// auditAdmin notes what an administrator did.
func (m *Module) auditAdmin(ctx context.Context, q db.Queryer, a admin, action string, traits map[string]any) error {
	payload := map[string]any{"actor_id": "00000000-0000-0000-0000-000000000000", "actor_via_sso": false, "actor_username": a.role}
	return m.writeAudit(ctx, q, action, payload, traits)
}

func (m *Module) writeAudit(ctx context.Context, q db.Queryer, action string, payload, traits map[string]any) error {
	payload["action"], payload["log_type"] = action, logTypes[action]
	if traits != nil {
		payload["traits"] = traits
	}
	var ip string
	if r := slipOf(ctx).request; r != nil {
		ip = m.client(r).ip
	}
	if !slipOf(ctx).again(action) {
		m.deps.Log.InfoContext(ctx, "audit", "action", action, "actor_id", payload["actor_id"], "ip_address", ip)
	}
	if m.cfg.AuditDisablePostgres {
		return nil
	}
	if _, byPasskey := traits["passkey_id"]; !byPasskey && !slices.Contains(addressed, action) {
		ip = ""
	}
	return store.InsertAudit(ctx, q, payload, ip)
}
