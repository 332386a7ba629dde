package auth

import (
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/modules/auth/provider"
	"github.com/madbase/madbase/modules/auth/store"
	"github.com/madbase/madbase/modules/auth/web3"
)

// Web3Config are the settings of sign-in with a wallet, by GoTrue's names.
type Web3Config struct {
	SolanaEnabled    bool          `env:"GOTRUE_EXTERNAL_WEB3_SOLANA_ENABLED" default:"false" doc:"Sign-in with a Solana wallet." group:"optional"`
	SolanaValidity   time.Duration `env:"GOTRUE_EXTERNAL_WEB3_SOLANA_MAXIMUM_VALIDITY_DURATION" default:"10m" doc:"How old, or far ahead, a message of a Solana wallet may be; 12h at most." group:"optional"`
	EthereumEnabled  bool          `env:"GOTRUE_EXTERNAL_WEB3_ETHEREUM_ENABLED" default:"false" doc:"Sign-in with an Ethereum wallet." group:"optional"`
	EthereumValidity time.Duration `env:"GOTRUE_EXTERNAL_WEB3_ETHEREUM_MAXIMUM_VALIDITY_DURATION" default:"10m" doc:"How old, or far ahead, a message of an Ethereum wallet may be; 12h at most." group:"optional"`
	RateLimit        int           `env:"GOTRUE_RATE_LIMIT_WEB3" default:"30" doc:"Sign-ins with a wallet per caller in 5 minutes; 0 is no limit." group:"optional"`
}

// maxWeb3Validity keeps a message's life, which reaches as far ahead of its time
// as behind, within the memory of messages used.
const maxWeb3Validity = store.UseMemory / 2

// Validate names every faulty variable.
func (c Web3Config) Validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"GOTRUE_EXTERNAL_WEB3_SOLANA_MAXIMUM_VALIDITY_DURATION": c.SolanaValidity, "GOTRUE_EXTERNAL_WEB3_ETHEREUM_MAXIMUM_VALIDITY_DURATION": c.EthereumValidity,
	} {
		if d < 0 || d > maxWeb3Validity {
			errs = append(errs, errors.New(name+" must be between 0 and 12h"))
		}
	}
	if c.RateLimit < 0 {
		errs = append(errs, errors.New("GOTRUE_RATE_LIMIT_WEB3 must not be negative"))
	}
	return errors.Join(errs...)
}

// Bounds of a message in bytes, GoTrue's.
const (
	minWeb3Message = 64
	maxWeb3Message = 20 << 10
)

type web3Request struct {
	Message   string `json:"message"`
	Signature string `json:"signature"`
	Chain     string `json:"chain"`
}

// grantWeb3 signs in the owner of a wallet, who has signed a message of this app
// and of now. A message is good once; GoTrue takes it as often as it comes.
func (m *Module) grantWeb3(c echo.Context) error {
	if !m.cfg.Web3.SolanaEnabled && !m.cfg.Web3.EthereumEnabled {
		return unprocessable(codeWeb3Disabled, "Web3 provider is disabled")
	}
	var req web3Request
	if err := readBody(c, &req); err != nil {
		return err
	}
	var chain *web3.Chain
	enabled, validity := m.cfg.Web3.SolanaEnabled, m.cfg.Web3.SolanaValidity
	switch req.Chain {
	case "solana":
		chain = web3.Solana()
	case "ethereum":
		chain, enabled, validity = web3.Ethereum(), m.cfg.Web3.EthereumEnabled, m.cfg.Web3.EthereumValidity
	default:
		return badRequest(codeWeb3Chain, "Unsupported chain")
	}
	if !enabled {
		return unprocessable(codeWeb3Disabled, chain.Title+" Web3 provider is disabled")
	}
	message, err := readWeb3(chain, req)
	if err != nil {
		return err
	}
	if fault := m.web3Fault(c.Request(), chain, message, validity); fault != "" {
		return oauthError(oauthInvalidGrant, fault)
	}
	return m.enterWeb3(c, chain, message, req.Message)
}

// readWeb3 reads a message whose owner has signed it.
func readWeb3(chain *web3.Chain, req web3Request) (*web3.Message, error) {
	switch {
	case len(req.Message) < minWeb3Message:
		return nil, invalid("message is too short")
	case len(req.Message) > maxWeb3Message:
		return nil, invalid("message must not exceed 20KB")
	}
	if err := chain.CheckSignature(req.Signature); err != nil {
		return nil, invalid(err.Error())
	}
	message, err := chain.Parse(req.Message)
	if err != nil {
		return nil, invalid(err.Error())
	}
	if !chain.Verify(message, req.Signature) {
		return nil, oauthError(oauthInvalidGrant, "Signature does not match address in message")
	}
	return message, nil
}

// web3Fault says why a message is not for this app now; empty when it is.
func (m *Module) web3Fault(r *http.Request, chain *web3.Chain, message *web3.Message, validity time.Duration) string {
	now, uri, local := m.now(), message.URI, message.URI.Hostname() == "localhost"
	switch {
	case uri.Scheme != "https" && !local:
		return "Signed " + chain.Title + " message is using URI which does not use HTTPS"
	case !m.redirectAllowed(r, uri.String()):
		return "Signed " + chain.Title + " message is using URI which is not allowed on this server, message was signed for another app"
	case uri.Host != message.Domain || !local && !m.redirectAllowed(r, "https://"+message.Domain+"/"): // wallets show and check the domain, not the URI
		return "Signed " + chain.Title + " message is using a Domain that does not match the one in URI which is not allowed on this server"
	case now.Before(message.NotBefore):
		return "Signed " + chain.Title + " message becomes valid in the future"
	case !message.ExpiresAt.IsZero() && now.After(message.ExpiresAt):
		return "Signed " + chain.Title + " message is expired"
	case now.After(message.IssuedAt.Add(validity)):
		return chain.Title + " message was issued too long ago"
	case now.Before(message.IssuedAt.Add(-validity)):
		return chain.Title + " message was issued too far in the future"
	}
	return ""
}

// enterWeb3 signs in the owner of the message's address.
func (m *Module) enterWeb3(c echo.Context, chain *web3.Chain, message *web3.Message, text string) error {
	r := c.Request()
	var statement any
	if message.Statement != nil {
		statement = *message.Statement
	} else if chain.Name == "solana" {
		statement = ""
	}
	who := provider.Identity{Provider: methodWeb3}
	who.Claims.Subject = methodWeb3 + ":" + chain.Name + ":" + message.Address
	who.Claims.Custom = map[string]any{
		"address": message.Address, "chain": chain.Name, "network": message.ChainID, "domain": message.Domain, "statement": statement,
	}
	if err := m.beforeAccount(c, who); err != nil {
		return err
	}
	var in *issued
	var got account
	err := m.transact(r.Context(), func(tx pgx.Tx) error {
		fresh, err := store.Use(r.Context(), tx, "web3 "+chain.Name+" "+text)
		if err != nil {
			return err
		}
		if !fresh {
			return oauthError(oauthInvalidGrant, "Signed "+chain.Title+" message was used before")
		}
		if got, err = m.accountFor(r, tx, arrival{who: who, emailOptional: true}); err != nil || got.refused != nil {
			return err
		}
		if err := m.audit(r.Context(), tx, got.user, actionLogin, map[string]any{
			"provider": methodWeb3, "chain": chain.Name, "network": message.ChainID, "address": message.Address, "domain": message.Domain,
			"uri": message.URI.String(),
		}); err != nil {
			return err
		}
		in, err = m.startSession(r.Context(), tx, got.user, entry{method: methodWeb3}, m.client(r))
		return err
	})
	if err != nil {
		return databaseError("Database error saving new user", err)
	}
	if err := m.afterAccount(c, got); err != nil {
		return err
	}
	return m.respond(c, in)
}
