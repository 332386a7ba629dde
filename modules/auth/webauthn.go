package auth

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/madbase/madbase/modules/auth/store"
)

// relyingParty is go-webauthn with the settings. Extensions that nobody asked for
// are ignored: apps may add some to the options before they reach the browser.
func (c WebAuthnConfig) relyingParty(selection protocol.AuthenticatorSelection, attestation protocol.ConveyancePreference) (*webauthn.WebAuthn, error) {
	rp, err := webauthn.New(&webauthn.Config{
		RPID: c.RPID, RPDisplayName: c.RPDisplayName, RPOrigins: c.RPOrigins, AttestationPreference: attestation,
		AuthenticatorSelection: selection, ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("auth: relying party: %w", err)
	}
	return rp, nil
}

// forFactors is the relying party of second factors.
func (c WebAuthnConfig) forFactors() (*webauthn.WebAuthn, error) {
	return c.relyingParty(protocol.AuthenticatorSelection{}, "")
}

// forPasskeys is the relying party of passkeys, which authenticators must find by themselves.
func (c WebAuthnConfig) forPasskeys() (*webauthn.WebAuthn, error) {
	return c.relyingParty(protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationPreferred,
	}, protocol.PreferNoAttestation)
}

// webAuthnUser is a user as go-webauthn sees one, with the credentials in question.
type webAuthnUser struct {
	*store.User
	credentials []webauthn.Credential
}

// WebAuthnID is the user handle: the id's text, as GoTrue's.
func (u webAuthnUser) WebAuthnID() []byte { return []byte(u.ID) }

// WebAuthnName tells the user's accounts apart.
func (u webAuthnUser) WebAuthnName() string { return cmp.Or(u.Email, u.Phone) }

// WebAuthnDisplayName is the user's name where the app knows one.
func (u webAuthnUser) WebAuthnDisplayName() string {
	var metadata struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(u.UserMetadata, &metadata) // a name that is no text is none
	return cmp.Or(metadata.Name, u.WebAuthnName())
}

// WebAuthnCredentials are the credentials that the user may answer with.
func (u webAuthnUser) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// exclusions keep authenticators from making a second credential of the user's.
func (u webAuthnUser) exclusions() webauthn.RegistrationOption {
	return webauthn.WithExclusions(webauthn.Credentials(u.credentials).CredentialDescriptors())
}

// maxCredentialAnswer bounds what an authenticator says, in bytes. The longest
// attestations, with chains of certificates, have some ten thousand.
const maxCredentialAnswer = 64 << 10

// parseRegistration reads the answer to navigator.credentials.create.
func parseRegistration(answer []byte) (*protocol.ParsedCredentialCreationData, error) {
	if len(answer) > maxCredentialAnswer {
		return nil, fmt.Errorf("auth: credential of %d bytes", len(answer))
	}
	return protocol.ParseCredentialCreationResponseBytes(answer)
}

// parseAssertion reads the answer to navigator.credentials.get.
func parseAssertion(answer []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > maxCredentialAnswer {
		return nil, fmt.Errorf("auth: credential of %d bytes", len(answer))
	}
	return protocol.ParseCredentialRequestResponseBytes(answer)
}

// decodeCeremony reads what go-webauthn wanted to be kept of a challenge.
func decodeCeremony(data []byte) (webauthn.SessionData, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(data, &session); err != nil {
		return session, fmt.Errorf("auth: WebAuthn challenge: %w", err)
	}
	return session, nil
}
