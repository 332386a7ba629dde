package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
	"github.com/labstack/echo/v4"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/madbase/madbase/modules/auth/store"
)

// The parameters of TOTP (RFC 6238), which are those that every app takes.
const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps before and after now
	totpDigits = otp.DigitsSix
)

// totpKeyBody is what an authenticator app needs, and no one gets to see again.
type totpKeyBody struct {
	QRCode string `json:"qr_code"`
	Secret string `json:"secret"`
	URI    string `json:"uri"`
}

// newTOTPKey makes a shared key, named in the app by issuer and account.
func (m *Module) newTOTPKey(c echo.Context, user *store.User, issuer string) (*totpKeyBody, error) {
	if issuer == "" {
		site, err := url.Parse(m.siteURL(c.Request().Context()))
		if err != nil {
			return nil, fmt.Errorf("auth: enroll: site URL: %w", err)
		}
		issuer = cmp.Or(site.Host, site.Scheme)
	}
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: issuer, AccountName: cmp.Or(user.Email, user.Phone, user.ID), Period: totpPeriod, Digits: totpDigits, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return nil, fmt.Errorf("auth: enroll: TOTP key: %w", err)
	}
	code, err := qrCode(key.String())
	if err != nil {
		return nil, fmt.Errorf("auth: enroll: QR code: %w", err)
	}
	return &totpKeyBody{QRCode: code, Secret: key.Secret(), URI: key.URL()}, nil
}

// Sizes of a QR code's picture in pixels and modules (ISO/IEC 18004 asks for the margin).
const (
	qrModule = 3
	qrMargin = 4
)

// qrCode draws text as an SVG picture of one path. Clients put it into a data URL
// as it is, so it must not have a '#'.
func qrCode(text string) (string, error) {
	var code barcode.Barcode
	var err error
	for _, level := range []qr.ErrorCorrectionLevel{qr.H, qr.M, qr.L} { // the best that the text leaves room for
		if code, err = qr.Encode(text, level, qr.Auto); err == nil {
			break
		}
	}
	if err != nil {
		return "", err
	}
	size := code.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := range size {
			if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+qrMargin, y+qrMargin)
			}
		}
	}
	modules := size + 2*qrMargin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[1]d" viewBox="0 0 %[2]d %[2]d" shape-rendering="crispEdges">`+
		`<rect width="%[2]d" height="%[2]d" fill="white"/><path d="%[3]s" fill="black"/></svg>`, modules*qrModule, modules, path.String()), nil
}

// errNoStep says that a code is of none of the time steps that may be.
var errNoStep = errors.New("auth: not a code of now")

// totpStep returns the time step that code is of: the one of now, the one before
// or the one after (RFC 6238, section 5.2). All are compared, whichever fits.
func totpStep(code, secret string, now time.Time) (int64, error) {
	if secret == "" { // a row that was written by hand: anyone can make codes of no key
		return 0, errNoStep
	}
	current, found := now.Unix()/totpPeriod, int64(0)
	for step := current - totpSkew; step <= current+totpSkew; step++ {
		ok, err := hotp.ValidateCustom(code, uint64(step), secret, hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
		if err != nil && !errors.Is(err, otp.ErrValidateInputInvalidLength) {
			return 0, fmt.Errorf("auth: validate TOTP code of step %s: %w", strconv.FormatInt(step, 10), err)
		}
		if ok {
			found = step
		}
	}
	if found == 0 {
		return 0, errNoStep
	}
	return found, nil
}
