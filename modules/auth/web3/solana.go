package web3

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"regexp"
	"strings"
)

// Solana is the sign-in of Solana's wallets, signed as it is or, by hardware
// wallets, as an off-chain message.
func Solana() *Chain {
	networks := regexp.MustCompile("^solana:(main|dev|test|local)net$")
	return &Chain{
		Name: "solana", Title: "Solana", prefix: "siws",
		address: regexp.MustCompile("^[a-zA-Z0-9]{32,44}$"), addressFault: "wallet address is not in base58 format",
		network: func(id string) bool { return id == "" || networks.MatchString(id) },
		CheckSignature: func(signature string) error {
			if len(signature) != 86 && len(signature) != 88 {
				return errors.New("signature must be 64 bytes encoded as base64 with or without padding")
			}
			if _, err := decodeSignature(signature); err != nil {
				return errors.New("signature does not contain valid base64 characters")
			}
			return nil
		},
		Verify: verifySolana,
	}
}

// decodeSignature takes base64 of either alphabet, with padding or without.
func decodeSignature(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "=")))
}

func verifySolana(m *Message, signature string) bool {
	sig, err := decodeSignature(signature)
	key := base58(m.Address)
	if err != nil || len(key) != ed25519.PublicKeySize || len(sig) != ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(key, []byte(m.raw), sig) || len(m.raw) <= math.MaxUint16 && ed25519.Verify(key, offChain(m, key), sig)
}

// offChain is the message as hardware wallets sign it: Solana's proposal
// "Off-chain message signing", with the domain as application.
func offChain(m *Message, key []byte) []byte {
	var application [32]byte
	copy(application[:], m.Domain)
	b := append([]byte("\xffsolana offchain"), 0) // version 0
	b = append(b, application[:]...)
	b = append(b, 0, 1) // ASCII, one signer
	b = append(b, key...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.raw)))
	return append(b, m.raw...)
}

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58 decodes text in Bitcoin's alphabet; it is nil when text is not. Texts are short: addresses.
func base58(text string) []byte {
	n, radix := new(big.Int), big.NewInt(58)
	for i := range len(text) {
		digit := strings.IndexByte(base58Alphabet, text[i])
		if digit < 0 {
			return nil
		}
		n.Add(n.Mul(n, radix), big.NewInt(int64(digit)))
	}
	zeros := len(text) - len(strings.TrimLeft(text, "1"))
	return append(make([]byte, zeros), n.Bytes()...)
}
