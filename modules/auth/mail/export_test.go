package mail

import "crypto/x509"

// Trust has the server's certificate vouched for by roots.
func (s *SMTP) Trust(roots *x509.CertPool) { s.roots = roots }

// OneLine and ParseHeaders are tested on any input.
var (
	OneLine      = oneLine
	ParseHeaders = parseHeaders
)
