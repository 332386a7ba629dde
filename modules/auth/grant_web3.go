package auth

import (
	"errors"
	"time"

	"github.com/madbase/madbase/modules/auth/store"
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
