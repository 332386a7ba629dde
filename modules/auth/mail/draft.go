package mail

import (
	"encoding/json"
	"fmt"
)

// Draft is one mail to one address, with what its template needs: what is put
// down until it leaves.
type Draft struct {
	Kind Kind           `json:"kind"`
	To   string         `json:"to"`
	Data map[string]any `json:"data"`
}

// Links says where mails of a request lead.
type Links struct {
	// SiteURL is the app's address.
	SiteURL string
	// Confirmation is the link for a token; empty for a kind that has none.
	Confirmation func(kind Kind, tokenHash, redirectTo string) string
}

// Drafts are the mails that tell the message: two for an email change that both
// addresses have to confirm, one for everything else. The variables are GoTrue's.
func (m Message) Drafts(links Links) ([]Draft, error) {
	common := map[string]any{"SiteURL": links.SiteURL, "Email": m.User.Email}
	if len(m.User.UserMetadata) > 0 {
		var metadata map[string]any
		if err := json.Unmarshal(m.User.UserMetadata, &metadata); err != nil {
			return nil, fmt.Errorf("mail: metadata of user: %w", err)
		}
		common["Data"] = metadata
	}
	switch m.Kind {
	case Confirmation, Invite, Recovery, MagicLink:
		return []Draft{m.draft(links, m.Recipient(), m.Token, m.TokenHash, common)}, nil
	case EmailChange:
		common["NewEmail"] = m.NewEmail
		drafts := []Draft{m.draft(links, m.NewEmail, m.TokenNew, m.TokenHashNew, common)}
		if m.Token != "" {
			drafts = append(drafts, m.draft(links, m.Recipient(), m.Token, m.TokenHash, common))
		}
		return drafts, nil
	case Reauthentication:
		common["Token"] = m.Token
	case EmailChanged:
		common["OldEmail"] = m.OldEmail
	case PhoneChanged:
		common["OldPhone"], common["Phone"] = m.OldPhone, m.User.Phone
	case IdentityLinked, IdentityUnlinked:
		common["Email"], common["Provider"] = m.Recipient(), m.Provider
	case FactorEnrolled, FactorUnenrolled:
		common["FactorType"] = m.FactorType
	case PasswordChanged:
	default:
		return nil, fmt.Errorf("mail: there is no kind %q", m.Kind)
	}
	return []Draft{{m.Kind, m.Recipient(), common}}, nil
}

// draft is a mail with a code and a link.
func (m Message) draft(links Links, to, token, hash string, common map[string]any) Draft {
	data := map[string]any{
		"ConfirmationURL": links.Confirmation(m.Kind, hash, m.RedirectTo), "Token": token, "TokenHash": hash, "RedirectTo": m.RedirectTo,
	}
	if m.Kind == EmailChange {
		data["SendingTo"] = to
	}
	for name, value := range common {
		data[name] = value
	}
	return Draft{m.Kind, to, data}
}
