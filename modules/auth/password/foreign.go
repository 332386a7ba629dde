package password

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
)

// What a hash may ask for; beyond, it is not computed. Hashes come from
// administrators and from restored dumps.
const (
	maxMemory  = 256 << 20 // bytes
	maxRounds  = 20
	maxThreads = 16
	maxHash    = 1024 // characters
)

var errForeign = errors.New("password: not a hash that is understood")

// foreign computes a hash of another make than bcrypt's and says whether the password matches.
type foreign func(password string) bool

// https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md#argon2-encoding
var argonPattern = regexp.MustCompile(`^\$argon2(i|id)\$v=19\$m=([0-9]+),t=([0-9]+),p=([0-9]+)\$([^$]+)\$([^$]+)$`)

// GoTrue's notation of Firebase's variant of scrypt, https://github.com/firebase/scrypt
var scryptPattern = regexp.MustCompile(`^\$fbscrypt\$v=1,n=([0-9]+),r=([0-9]+),p=([0-9]+)(?:,ss=([^,$]+))?(?:,sk=([^$]+))?\$([^$]+)\$([^$]+)$`)

// parseForeign reads a hash by argon2i, argon2id or Firebase's scrypt.
func parseForeign(hash string) (foreign, error) {
	if len(hash) > maxHash {
		return nil, errForeign
	}
	if strings.HasPrefix(hash, "$argon2") {
		return parseArgon(argonPattern.FindStringSubmatch(hash))
	}
	return parseScrypt(scryptPattern.FindStringSubmatch(hash))
}

func parseArgon(part []string) (foreign, error) {
	if part == nil {
		return nil, errForeign
	}
	memory, err1 := bounded(part[2], maxMemory>>10)
	rounds, err2 := bounded(part[3], maxRounds)
	threads, err3 := bounded(part[4], maxThreads)
	salt, err4 := base64.RawStdEncoding.DecodeString(part[5])
	want, err5 := base64.RawStdEncoding.DecodeString(part[6])
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil || len(salt) == 0 || len(want) == 0 {
		return nil, errForeign
	}
	derive := argon2.IDKey
	if part[1] == "i" {
		derive = argon2.Key
	}
	return func(password string) bool {
		got := derive([]byte(password), salt, uint32(rounds), uint32(memory), uint8(threads), uint32(len(want)))
		return subtle.ConstantTimeCompare(got, want) == 1
	}, nil
}

func parseScrypt(part []string) (foreign, error) {
	if part == nil {
		return nil, errForeign
	}
	power, err1 := bounded(part[1], 30)
	rounds, err2 := bounded(part[2], 1<<20)
	threads, err3 := bounded(part[3], maxThreads)
	separator, err4 := base64.StdEncoding.DecodeString(part[4])
	key, err5 := base64.StdEncoding.DecodeString(part[5])
	salt, err6 := base64.StdEncoding.DecodeString(part[6])
	want, err7 := base64.StdEncoding.DecodeString(part[7])
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil || len(want) == 0 || 128*rounds > maxMemory>>power {
		return nil, errForeign
	}
	return func(password string) bool {
		derived, err := scrypt.Key([]byte(password), append(salt[:len(salt):len(salt)], separator...), 1<<power, rounds, threads, 32)
		if err != nil {
			return false
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			return false
		}
		got := make([]byte, len(key))
		cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(got, key) // Firebase's own form has no other start
		return subtle.ConstantTimeCompare(got, want) == 1
	}, nil
}

// bounded reads a number from 1 to most.
func bounded(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err == nil && (n < 1 || n > most) {
		err = errForeign
	}
	return n, err
}
