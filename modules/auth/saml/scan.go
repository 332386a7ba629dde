package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Bounds of a document, far beyond what identity providers send. Its length is
// the caller's to bound.
const (
	maxDepth    = 48
	maxElements = 20_000
)

// ErrDocument says that XML is not of the kind that is taken.
var ErrDocument = errors.New("saml: document")

const (
	spaceAssertion  = "urn:oasis:names:tc:SAML:2.0:assertion"
	spaceProtocol   = "urn:oasis:names:tc:SAML:2.0:protocol"
	spaceEncryption = "http://www.w3.org/2001/04/xmlenc#"
)

// counts are how many elements of a kind a document has.
type counts struct{ assertions, encrypted, responses int }

// scan looks over a document before anything that keeps a tree of it, resolves
// names or checks signatures does. It refuses document types (with them entities
// and everything external), depth, number, and two elements of one id: in what
// is signed, an id must mean one element only.
func scan(text []byte) (counts, error) {
	var n counts
	depth, elements, ids := 0, 0, map[string]bool{}
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("%w: %w", ErrDocument, err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return n, fmt.Errorf("%w has a document type", ErrDocument)
		case xml.ProcInst:
			if t.Target != "xml" {
				return n, fmt.Errorf("%w has a processing instruction", ErrDocument)
			}
		case xml.EndElement:
			depth--
		case xml.StartElement:
			depth++
			elements++
			if depth > maxDepth || elements > maxElements {
				return n, fmt.Errorf("%w is too deep or has too many elements", ErrDocument)
			}
			n.add(t.Name)
			for _, a := range t.Attr {
				if a.Name.Space != "" || a.Name.Local != "ID" {
					continue
				}
				if ids[a.Value] {
					return n, fmt.Errorf("%w has an id twice", ErrDocument)
				}
				ids[a.Value] = true
			}
		}
	}
}

func (n *counts) add(name xml.Name) {
	switch name {
	case xml.Name{Space: spaceAssertion, Local: "Assertion"}:
		n.assertions++
	case xml.Name{Space: spaceAssertion, Local: "EncryptedAssertion"}:
		n.encrypted++
	case xml.Name{Space: spaceProtocol, Local: "Response"}:
		n.responses++
	}
}
