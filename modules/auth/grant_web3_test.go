package auth_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"

	"github.com/madbase/madbase/modules/auth"
)

// wallet signs messages as a person's does.
type wallet struct {
	chain, title, address string
	sign                  func(text string) string
}

func keccak(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(b)
	return h.Sum(nil)
}

func ethereumWallet(t *testing.T) wallet {
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	address := "0x" + hex.EncodeToString(keccak(key.PubKey().SerializeUncompressed()[1:])[12:])
	return wallet{"ethereum", "Ethereum", address, func(text string) string {
		sig := ecdsa.SignCompact(key, keccak([]byte("\x19Ethereum Signed Message:\n"+big.NewInt(int64(len(text))).String()+text)), false)
		return "0x" + hex.EncodeToString(append(sig[1:], sig[0]))
	}}
}

func solanaWallet(t *testing.T) wallet {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	address, n, digit := "", new(big.Int).SetBytes(public), new(big.Int)
	for n.Sign() > 0 {
		n.DivMod(n, big.NewInt(58), digit)
		address = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit.Int64():][:1] + address
	}
	return wallet{"solana", "Solana", address, func(text string) string {
		return base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(text)))
	}}
}

// message is one for the site of the tests, with changes by name; an empty change removes the line.
func (w wallet) message(changes map[string]string) string {
	fields := map[string]string{
		"domain": "app.example.com", "URI": "https://app.example.com/in", "Version": "1", "Chain ID": map[string]string{"ethereum": "1", "solana": "solana:mainnet"}[w.chain],
		"Nonce": "n0nce" + hex.EncodeToString([]byte(time.Now().String())), "Issued At": time.Now().UTC().Format(time.RFC3339Nano),
	}
	for name, value := range changes {
		fields[name] = value
	}
	text := fields["domain"] + " wants you to sign in with your " + w.title + " account:\n" + w.address + "\n"
	if s := fields["statement"]; s != "" {
		text += "\n" + s + "\n"
	}
	for _, name := range []string{"URI", "Version", "Chain ID", "Nonce", "Issued At", "Expiration Time", "Not Before"} {
		if fields[name] != "" {
			text += "\n" + name + ": " + fields[name]
		}
	}
	return text
}

func web3Config() auth.Config {
	cfg := config()
	cfg.SiteURL, cfg.URIAllowList = "https://app.example.com", []string{"http://localhost:3000/**", "https://other.example.org/**"}
	cfg.Web3 = auth.Web3Config{SolanaEnabled: true, EthereumEnabled: true, SolanaValidity: 10 * time.Minute, EthereumValidity: 10 * time.Minute}
	return cfg
}

func (s *server) web3(w wallet, text string) answer {
	s.t.Helper()
	return s.call("POST", "/token?grant_type=web3", "", map[string]any{"chain": w.chain, "message": text, "signature": w.sign(text)})
}

func TestWeb3(t *testing.T) {
	t.Parallel()
	s := start(t, web3Config())
	for _, w := range []wallet{ethereumWallet(t), solanaWallet(t)} {
		first := s.web3(w, w.message(map[string]string{"statement": "I take the terms."})).want(200, "")
		equal(t, "provider", first.at("user", "app_metadata"), map[string]any{"provider": "web3", "providers": []string{"web3"}})
		subject := "web3:" + w.chain + ":" + w.address
		equal(t, "subject", first.str("user", "identities", "0", "id"), subject)
		equal(t, "claims", first.at("user", "user_metadata", "custom_claims"), map[string]any{
			"address": w.address, "chain": w.chain, "domain": "app.example.com", "statement": "I take the terms.",
			"network": map[string]string{"ethereum": "1", "solana": "solana:mainnet"}[w.chain],
		})
		equal(t, "amr", payload(t, first.str("access_token"))["amr"].([]any)[0].(map[string]any)["method"], "web3")
		equal(t, "email", first.str("user", "email"), "")
		s.call("GET", "/user", first.str("access_token"), nil).want(200, "")
		again := s.web3(w, w.message(nil)).want(200, "")
		equal(t, "user", again.str("user", "id"), first.str("user", "id"))
		s.refresh(again.str("refresh_token")).want(200, "")
		s.web3(w, w.message(map[string]string{"URI": "http://localhost:3000/", "domain": "localhost:3000"})).want(200, "")
		s.web3(w, w.message(map[string]string{"URI": "https://other.example.org/x", "domain": "other.example.org"})).want(200, "")
	}
	equal(t, "users", s.count("SELECT count(*) FROM auth.users WHERE NOT is_sso_user AND email IS NULL"), 2)
}

func TestWeb3RefusesMessages(t *testing.T) {
	t.Parallel()
	s := start(t, web3Config())
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for _, w := range []wallet{ethereumWallet(t), solanaWallet(t)} {
		for _, c := range []struct {
			changes map[string]string
			want    string
		}{
			{map[string]string{"URI": "http://app.example.com/"}, "Signed CHAIN message is using URI which does not use HTTPS"},
			{map[string]string{"URI": "https://evil.example/", "domain": "evil.example"}, "Signed CHAIN message is using URI which is not allowed on this server, message was signed for another app"},
			{map[string]string{"domain": "evil.example"}, "Signed CHAIN message is using a Domain that does not match the one in URI which is not allowed on this server"},
			{map[string]string{"domain": "other.example.org"}, "Signed CHAIN message is using a Domain that does not match the one in URI which is not allowed on this server"},
			{map[string]string{"URI": "http://localhost:3000/", "domain": "evil.example"}, "Signed CHAIN message is using a Domain that does not match the one in URI which is not allowed on this server"},
			{map[string]string{"Not Before": at(time.Minute)}, "Signed CHAIN message becomes valid in the future"},
			{map[string]string{"Issued At": at(-5 * time.Minute), "Expiration Time": at(-time.Minute)}, "Signed CHAIN message is expired"},
			{map[string]string{"Issued At": at(-11 * time.Minute)}, "CHAIN message was issued too long ago"},
			{map[string]string{"Issued At": at(11 * time.Minute)}, "CHAIN message was issued too far in the future"},
		} {
			a := s.web3(w, w.message(c.changes))
			if a.status != 400 || a.str("error") != "invalid_grant" || a.str("error_description") != strings.ReplaceAll(c.want, "CHAIN", w.title) {
				t.Errorf("%s %v: got %d %s", w.chain, c.changes, a.status, a.text)
			}
		}
		text := w.message(nil)
		for _, body := range []map[string]any{
			{"message": text, "signature": w.sign(text + " ")},
			{"message": strings.Replace(text, "n0nce", "n1nce", 1), "signature": w.sign(text)},
		} {
			body["chain"] = w.chain
			equal(t, "forged", s.call("POST", "/token?grant_type=web3", "", body).str("error_description"), "Signature does not match address in message")
		}
		for _, body := range []map[string]any{
			{"message": "short", "signature": w.sign(text)},
			{"message": strings.Repeat("x", 20<<10+1), "signature": w.sign(text)},
			{"message": text, "signature": "0x00"},
			{"message": strings.Repeat("x", 100), "signature": w.sign(text)},
			{"message": w.message(map[string]string{"Chain ID": "no"}), "signature": w.sign(text)},
			{"message": text + "\nURI: https://evil.example/", "signature": w.sign(text + "\nURI: https://evil.example/")},
		} {
			body["chain"] = w.chain
			s.call("POST", "/token?grant_type=web3", "", body).want(400, "validation_failed")
		}
	}
	s.call("POST", "/token?grant_type=web3", "", map[string]any{"chain": "doge"}).want(400, "web3_unsupported_chain")
	equal(t, "users", s.count("SELECT count(*) FROM auth.users"), 0)
}

func TestWeb3TakesAMessageOnce(t *testing.T) {
	t.Parallel()
	s := start(t, web3Config())
	w := ethereumWallet(t)
	text := w.message(nil)
	var wg sync.WaitGroup
	statuses := make(chan int, 8)
	for range cap(statuses) {
		wg.Go(func() { statuses <- s.web3(w, text).status })
	}
	wg.Wait()
	close(statuses)
	n := map[int]int{}
	for status := range statuses {
		n[status]++
	}
	equal(t, "answers", n, map[int]int{200: 1, 400: 7})
	equal(t, "replay", s.web3(w, text).str("error_description"), "Signed Ethereum message was used before")
	equal(t, "sessions", s.count("SELECT count(*) FROM auth.sessions"), 1)
}

func TestWeb3Off(t *testing.T) {
	t.Parallel()
	cfg := web3Config()
	cfg.Web3.SolanaEnabled = false
	s := start(t, cfg)
	w := solanaWallet(t)
	s.web3(w, w.message(nil)).want(422, "web3_provider_disabled")
	e := ethereumWallet(t)
	s.web3(e, e.message(nil)).want(200, "")
	off := start(t, config())
	off.web3(e, e.message(nil)).want(422, "web3_provider_disabled")
	cfg.DisableSignup = true
	closed := start(t, cfg)
	closed.web3(e, e.message(nil)).want(422, "signup_disabled")
	cfg.Web3.EthereumValidity = 13 * time.Hour
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "GOTRUE_EXTERNAL_WEB3_ETHEREUM_MAXIMUM_VALIDITY_DURATION") {
		t.Errorf("13h: %v", err)
	}
}
