package web3

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

const body = "\nhttps statement\n\nURI: https://app.example.com/in\nVersion: 1\nChain ID: 1\nNonce: abcdefgh\nIssued At: 2026-11-23T10:00:00.123Z" +
	"\nExpiration Time: 2026-11-23T10:05:00Z\nNot Before: 2026-11-23T09:59:00Z\nRequest ID: r1\nResources:\n- https://a.example/x\n- ipfs://bafy"

func ethereum(address, rest string) string {
	return "app.example.com wants you to sign in with your Ethereum account:\n" + address + "\n" + rest
}

func TestParse(t *testing.T) {
	const address = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
	m, err := Ethereum().Parse(ethereum(address, body))
	if err != nil {
		t.Fatal(err)
	}
	if m.Domain != "app.example.com" || m.Address != address || *m.Statement != "https statement" || m.URI.String() != "https://app.example.com/in" ||
		m.ChainID != "1" || m.Nonce != "abcdefgh" || m.RequestID != "r1" || m.IssuedAt.Nanosecond() != 123000000 || m.ExpiresAt.IsZero() || m.NotBefore.IsZero() {
		t.Errorf("got %+v", m)
	}
	for rest, fault := range map[string]string{
		"x" + body: "third line must be empty",
		strings.Replace(body, ": 1\n", ": 2\n", 1):                       `Version value is not supported, expected 1 got "2"`,
		strings.Replace(body, "URI: ", "URI: no", 1):                     "",
		strings.Replace(body, "URI: https", "URI:  ", 1):                 "URI is not valid",
		strings.Replace(body, "Chain ID: 1", "Chain ID: zero", 1):        "Chain ID is not valid",
		strings.Replace(body, "Chain ID: 1", "Chain ID: 0", 1):           "Chain ID is not valid",
		strings.Replace(body, "2026-11-23T10:00", "2026-13-23T10:00", 1): "Issued At is not a valid ISO8601 timestamp",
		strings.Replace(body, "10:05", "10:0", 1):                        "Expiration Time is not a valid ISO8601 timestamp",
		strings.Replace(body, "Not Before: 2", "Not Before: x2", 1):      "Not Before is not a valid ISO8601 timestamp",
		strings.Replace(body, "Issued At: ", "Issued: ", 1):              "Issued At is not specified",
		strings.Replace(body, "URI: ", "Uri: ", 1):                       "URI is not specified",
		strings.Replace(body, "T10:05", "T09:05", 1):                     "Issued At is after Expiration Time",
		strings.Replace(body, "T09:59", "T11:59", 1):                     "Not Before is after Expiration Time",
		strings.Replace(body, "- ipfs://bafy", "- nothing", 1):           "Resource at position 1 has invalid URI",
		strings.Replace(body, "Nonce: ", "Nonce ", 1):                    "encountered unparsable line at index 8",
		body + "\nURI: https://evil.example/":                            "encountered unparsable line at index 16",
	} {
		_, err := Ethereum().Parse(ethereum(address, rest))
		if fault == "" && err != nil || fault != "" && (err == nil || err.Error() != "siwe: "+fault) {
			t.Errorf("%q: got %v, want %s", rest, err, fault)
		}
	}
	for text, fault := range map[string]string{
		"a\nb": "message needs at least 6 lines",
		strings.Replace(ethereum(address, body), "Ethereum", "Solana", 1): `message first line does not end in " wants you to sign in with your Ethereum account:"`,
		"bad/" + ethereum(address, body):                                  "domain in first line of message is not valid",
		ethereum(address[:41], body):                                      "wallet address is not a valid Ethereum address",
	} {
		if _, err := Ethereum().Parse(text); err == nil || err.Error() != "siwe: "+fault {
			t.Errorf("%q: got %v, want %s", text, err, fault)
		}
	}
}

func TestEthereumSignature(t *testing.T) {
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	address := "0x" + hex.EncodeToString(keccak(string(key.PubKey().SerializeUncompressed()[1:]))[12:])
	m, err := Ethereum().Parse(ethereum(address, body))
	if err != nil {
		t.Fatal(err)
	}
	compact := ecdsa.SignCompact(key, keccak("\x19Ethereum Signed Message:\n"+"365"+m.raw), false)
	if len(m.raw) != 365 {
		t.Fatalf("the message has %d bytes", len(m.raw))
	}
	signature := hex.EncodeToString(append(compact[1:], compact[0]))
	newer := hex.EncodeToString(append(compact[1:65:65], compact[0]-27))
	for sig, want := range map[string]bool{
		signature: true, "0x" + signature: true, newer: true, signature[:128] + "1f": false, signature[:128] + "ff": false,
		strings.Repeat("0", 130): false, strings.Repeat("f", 130): false, strings.Repeat("z", 130): false, "": false,
	} {
		if got := Ethereum().Verify(m, sig); got != want {
			t.Errorf("%s: got %v", sig, got)
		}
	}
	changed := *m
	changed.raw = strings.Replace(m.raw, "abcdefgh", "abcdefgx", 1)
	if Ethereum().Verify(&changed, signature) {
		t.Error("the signature holds for another message")
	}
}

// The key and address are those of the first test account that Hardhat's documentation names.
func TestEthereumAddress(t *testing.T) {
	raw, err := hex.DecodeString("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
	if err != nil {
		t.Fatal(err)
	}
	key := secp256k1.PrivKeyFromBytes(raw)
	if got := hex.EncodeToString(keccak(string(key.PubKey().SerializeUncompressed()[1:]))[12:]); got != "f39fd6e51aad88f6f4ce6ab8827279cfffb92266" {
		t.Errorf("address is %s", got)
	}
}

func TestSolanaSignature(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := "app.example.com wants you to sign in with your Solana account:\n" + encode58(public) + "\n\nVersion: 1\nURI: https://app.example.com\nIssued At: 2026-11-23T10:00:00Z\nChain ID: solana:mainnet"
	m, err := Solana().Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	plain := ed25519.Sign(private, []byte(text))
	ledger := ed25519.Sign(private, offChain(m, public))
	for sig, want := range map[string]bool{
		base64.StdEncoding.EncodeToString(plain): true, base64.RawURLEncoding.EncodeToString(plain): true, base64.StdEncoding.EncodeToString(ledger): true,
		base64.StdEncoding.EncodeToString(make([]byte, 64)): false, base64.StdEncoding.EncodeToString(plain[:63]): false, "!": false,
	} {
		if got := Solana().Verify(m, sig); got != want {
			t.Errorf("%s: got %v", sig, got)
		}
	}
	m.Address = m.Address[:31]
	if Solana().Verify(m, base64.StdEncoding.EncodeToString(plain)) {
		t.Error("a short address is taken")
	}
	for sig, fine := range map[string]bool{strings.Repeat("A", 86): true, strings.Repeat("A", 86) + "==": true, strings.Repeat("A", 87): false, strings.Repeat("?", 86): false} {
		if err := Solana().CheckSignature(sig); (err == nil) != fine {
			t.Errorf("%s: %v", sig, err)
		}
	}
}

func encode58(b []byte) (text string) {
	n, digit := new(big.Int).SetBytes(b), new(big.Int)
	for n.Sign() > 0 {
		n.DivMod(n, big.NewInt(58), digit)
		text = string(base58Alphabet[digit.Int64()]) + text
	}
	for i := 0; i < len(b) && b[i] == 0; i++ {
		text = "1" + text
	}
	return text
}

func TestBase58(t *testing.T) {
	for text, want := range map[string]string{
		"11111111111111111111111111111111":            strings.Repeat("00", 32),
		"So11111111111111111111111111111111111111112": "069b8857feab8184fb687f634618c035dac439dc1aeb3b5598a0f00000000001",
		"0": "", "l": "",
	} {
		if got := hex.EncodeToString(base58(text)); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(ethereum("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", body), "0x00")
	f.Add("localhost:3000 wants you to sign in with your Solana account:\n11111111111111111111111111111111\n\nVersion: 1\nURI: http://localhost:3000/\nIssued At: 2026-11-23T10:00:00Z", strings.Repeat("A", 86))
	f.Fuzz(func(t *testing.T, text, signature string) {
		for _, c := range []*Chain{Ethereum(), Solana()} {
			_ = c.CheckSignature(signature)
			m, err := c.Parse(text)
			if err != nil {
				continue
			}
			if m.URI == nil || m.IssuedAt.IsZero() || !domainPattern.MatchString(m.Domain) || strings.Contains(m.Address, "\n") {
				t.Errorf("%s took %q", c.Name, text)
			}
			c.Verify(m, signature)
		}
	})
}
