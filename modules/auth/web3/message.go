// Package web3 reads the messages with which wallets sign in, and checks their
// signatures: Sign-In with Ethereum (EIP-4361) and its counterpart for Solana.
// Both have the same lines; what differs is in Chain.
package web3

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Message is what a wallet's owner has signed.
type Message struct {
	// Domain is the host (with a port, if any) that asks for the sign-in, Address the wallet's.
	Domain, Address string
	// Statement is nil when there is none.
	Statement *string
	URI       *url.URL
	// ChainID, Nonce and RequestID may be empty.
	ChainID, Nonce, RequestID string
	IssuedAt                  time.Time
	// ExpiresAt and NotBefore are zero when the message has none.
	ExpiresAt, NotBefore time.Time

	raw string
}

// Chain is a kind of message: how it begins and what its addresses and networks
// look like. Verify reports whether the owner of the message's address has
// signed it, and signature is as clients send it.
type Chain struct {
	// Name is the API's name of the chain, Title the one in messages.
	Name, Title string
	// CheckSignature says what is wrong with a signature's form.
	CheckSignature func(signature string) error
	// Verify reports whether the message's address signed it.
	Verify func(m *Message, signature string) bool

	prefix       string
	address      *regexp.Regexp
	addressFault string
	network      func(string) bool
}

// domainPattern is a host name with a dot or localhost, and perhaps a port.
var domainPattern = regexp.MustCompile(`^(localhost|(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,})(?::\d{1,5})?$`)

// Parse reads a message. Its errors are for the caller, in GoTrue's words.
// Unlike there, no field may come twice: a reader could take the one and the
// server the other.
func (c *Chain) Parse(text string) (*Message, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 6 {
		return nil, c.fault("message needs at least 6 lines")
	}
	m := &Message{raw: text, Address: strings.TrimSpace(lines[1])}
	suffix := " wants you to sign in with your " + c.Title + " account:"
	domain, ok := strings.CutSuffix(lines[0], suffix)
	m.Domain = strings.TrimSpace(domain)
	switch {
	case !ok:
		return nil, c.fault(fmt.Sprintf("message first line does not end in %q", suffix))
	case !domainPattern.MatchString(m.Domain):
		return nil, c.fault("domain in first line of message is not valid")
	case !c.address.MatchString(m.Address):
		return nil, c.fault(c.addressFault)
	case lines[2] != "":
		return nil, c.fault("third line must be empty")
	}
	first := 3
	if lines[3] != "" && lines[4] == "" {
		m.Statement, first = &lines[3], 5
	}
	f := fields{chain: c, m: m, seen: map[string]bool{}}
	for i := first; i < len(lines); i++ {
		if err := f.line(i, strings.TrimSpace(lines[i])); err != nil {
			return nil, err
		}
	}
	return m, f.whole()
}

func (c *Chain) fault(text string) error { return errors.New(c.prefix + ": " + text) }

// fields reads the lines below the statement.
type fields struct {
	chain     *Chain
	m         *Message
	seen      map[string]bool
	version   string
	resources int
	// listing is set within the list of resources.
	listing bool
}

func (f *fields) line(index int, line string) error {
	if resource, ok := strings.CutPrefix(line, "- "); f.listing && ok {
		if _, err := url.ParseRequestURI(strings.TrimSpace(resource)); err != nil {
			return f.chain.fault(fmt.Sprintf("Resource at position %d has invalid URI", f.resources))
		}
		f.resources++
		return nil
	}
	f.listing = line == "Resources:"
	if f.listing || line == "" {
		return nil
	}
	key, value, found := strings.Cut(line, ":")
	if !found || f.seen[key] && slices.Contains(known, key) {
		return f.chain.fault(fmt.Sprintf("encountered unparsable line at index %d", index))
	}
	f.seen[key] = true
	return f.field(key, strings.TrimSpace(value))
}

// known are the fields that are read.
var known = []string{"URI", "Version", "Chain ID", "Nonce", "Issued At", "Expiration Time", "Not Before", "Request ID"}

func (f *fields) field(key, value string) (err error) {
	switch key {
	case "URI":
		if f.m.URI, err = url.ParseRequestURI(value); err != nil {
			return f.chain.fault("URI is not valid")
		}
	case "Version":
		f.version = value
	case "Chain ID":
		if !f.chain.network(value) {
			return f.chain.fault("Chain ID is not valid")
		}
		f.m.ChainID = value
	case "Nonce":
		f.m.Nonce = value
	case "Request ID":
		f.m.RequestID = value
	case "Issued At", "Expiration Time", "Not Before":
		t, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return f.chain.fault(key + " is not a valid ISO8601 timestamp")
		}
		*map[string]*time.Time{"Issued At": &f.m.IssuedAt, "Expiration Time": &f.m.ExpiresAt, "Not Before": &f.m.NotBefore}[key] = t
	}
	return nil
}

// whole says what is missing or contradicts itself.
func (f *fields) whole() error {
	m := f.m
	switch {
	case f.version != "1":
		return f.chain.fault(fmt.Sprintf("Version value is not supported, expected 1 got %q", f.version))
	case m.IssuedAt.IsZero():
		return f.chain.fault("Issued At is not specified")
	case m.URI == nil:
		return f.chain.fault("URI is not specified")
	case !m.ExpiresAt.IsZero() && m.IssuedAt.After(m.ExpiresAt):
		return f.chain.fault("Issued At is after Expiration Time")
	case !m.ExpiresAt.IsZero() && m.NotBefore.After(m.ExpiresAt):
		return f.chain.fault("Not Before is after Expiration Time")
	}
	return nil
}
