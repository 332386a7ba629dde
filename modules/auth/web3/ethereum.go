package web3

import (
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"
)

// Ethereum is Sign-In with Ethereum: messages of EIP-4361, signed as EIP-191's
// personal_sign does by the key of an account (not of a contract).
func Ethereum() *Chain {
	return &Chain{
		Name: "ethereum", Title: "Ethereum", prefix: "siwe",
		address: regexp.MustCompile("^0x[a-fA-F0-9]{40}$"), addressFault: "wallet address is not a valid Ethereum address",
		network: func(id string) bool { // EIP-155
			n, err := strconv.Atoi(id)
			return err == nil && n > 0
		},
		CheckSignature: func(signature string) error {
			if len(strings.TrimPrefix(signature, "0x")) != 130 {
				return errors.New("signature must be 65 bytes long, encoded as a 130 character-long hexadecimal string")
			}
			return nil
		},
		Verify: verifyEthereum,
	}
}

func verifyEthereum(m *Message, signature string) bool {
	sig, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil || len(sig) != 65 {
		return false
	}
	v := sig[64] // 27 or 28, or in newer wallets 0 or 1
	if v >= 27 {
		v -= 27
	}
	if v > 1 {
		return false
	}
	compact := append([]byte{27 + v}, sig[:64]...)
	key, _, err := ecdsa.RecoverCompact(compact, keccak("\x19Ethereum Signed Message:\n"+strconv.Itoa(len(m.raw))+m.raw))
	if err != nil {
		return false
	}
	address := keccak(string(key.SerializeUncompressed()[1:]))[12:]
	return strings.EqualFold("0x"+hex.EncodeToString(address), m.Address)
}

func keccak(text string) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(text))
	return h.Sum(nil)
}
