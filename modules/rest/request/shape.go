package request

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/madbase/madbase/modules/rest/ast"
)

// Bounds of what has a shape, in bytes. No plan is another one for a payload below the bound.
const (
	largestShape   = 4 << 10
	largestPayload = 32 << 10
)

// Shape is a request apart from its values, which are those of plain filters, the
// arguments of a function called by GET, a payload's text and its members'. Requests
// of one Key are compiled alike: what Parse reads is told by the Key, and nothing else is.
type Shape struct {
	Key string
	// Values are this request's: the first is that of slot 1.
	Values [][]byte

	message   *Message
	callByGet bool
	// payload is what counts of a payload, and nil without one.
	payload *payloadShape
}

// payloadShape is a JSON payload apart from its values.
type payloadShape struct {
	isObject bool
	columns  []string
	// forms are those of the members of columns, where these are known.
	forms []ast.ValueForm
}

// Shape is the shape of m; nil when it has none, because m is too large, of no kind
// that recurs or faulty.
func (m *Message) Shape(rules Rules) *Shape {
	if m.querySize > largestShape || len(m.body) > largestPayload {
		return nil
	}
	kind, _, err := resource(m.path, rules)
	if err != nil {
		return nil
	}
	do, err := action(kind, m.method)
	if err != nil || do > ast.CallRead {
		return nil
	}
	s := &Shape{message: m, callByGet: do == ast.CallRead, Values: make([][]byte, 0, len(m.query)+1)}
	k := key(make([]byte, 0, 512))
	k.head(m)
	for i := range m.query {
		if value, found := k.parameter(&m.query[i], s.callByGet); found {
			s.Values = append(s.Values, []byte(value))
		}
	}
	if hasPayload(do) && !s.readPayload(do, &k) || len(k) > largestShape {
		return nil
	}
	s.Key = string(k)
	return s
}

// readPayload reads the payload as far as it decides anything, or reports that it
// has no shape.
func (s *Shape) readPayload(do ast.Action, k *key) bool {
	m := s.message
	req := ast.Request{Action: do, ContentType: m.payloadType()}
	req.Query.HasColumns = slices.ContainsFunc(m.query, func(p pair) bool { return p.key == "columns" && p.hasValue })
	if req.ContentType != ast.JSON || parsePayload(&req, m.body) != nil {
		return false
	}
	w := walker{text: req.Payload.Raw}
	w.spaces()
	s.payload = &payloadShape{isObject: w.peek() == '{', columns: req.Columns}
	s.Values = append(s.Values, req.Payload.Raw)
	for _, member := range req.Payload.Members {
		s.payload.forms = append(s.payload.forms, ast.FormOf(member.JSON))
		s.Values = append(s.Values, member.JSON)
	}
	k.payload(s.payload)
	return true
}

// Parse reads a request of this shape that has nothing in its slots. It keeps nothing
// of the request that s is of.
func (s *Shape) Parse(rules Rules) (*ast.Request, error) {
	m := Message{
		method: strings.Clone(s.message.method), path: strings.Clone(s.message.path),
		prefer: clones(s.message.prefer), profile: clones(s.message.profile),
		accept: strings.Clone(s.message.accept), contentType: strings.Clone(s.message.contentType), ranged: strings.Clone(s.message.ranged),
		query: make([]pair, len(s.message.query)),
	}
	slots := 0
	for i, p := range s.message.query {
		if at := p.cut(s.callByGet); at >= 0 {
			slots++
			p.value, p.slot = p.value[:at], slots
		}
		p.key, p.value = strings.Clone(p.key), strings.Clone(p.value)
		m.query[i] = p
	}
	if s.payload == nil {
		return m.Parse(rules)
	}
	if m.body = noRows; s.payload.isObject {
		m.body = noMembers
	}
	req, err := m.Parse(rules)
	if err == nil {
		s.payload.into(req, slots)
	}
	return req, err
}

var noMembers = []byte("{}")

// into makes the payload of req, which is none of p's columns, one of the shape p. Its
// slots follow on so many.
func (p *payloadShape) into(req *ast.Request, slots int) {
	if len(p.columns) > 0 { // else they are those that the query names
		req.Columns = p.columns
	}
	slots++
	req.Payload.Slot = slots
	for i, form := range p.forms {
		req.Payload.Members = append(req.Payload.Members, ast.Member{Name: p.columns[i], JSON: form.Example(), Slot: slots + 1 + i})
	}
}

// Filled reports whether a statement with holes for those slots that has says so takes
// all of the request: its payload may come as a whole or by its members.
func (s *Shape) Filled(has func(slot int) bool) bool {
	all := func(from, to int) bool {
		for slot := from; slot <= to; slot++ {
			if !has(slot) {
				return false
			}
		}
		return true
	}
	if s.payload == nil {
		return all(1, len(s.Values))
	}
	members := len(s.payload.forms)
	whole := len(s.Values) - members
	return all(1, whole-1) && (has(whole) || members > 0 && all(whole+1, len(s.Values)))
}

func clones(list []string) []string {
	own := make([]string, len(list))
	for i, s := range list {
		own[i] = strings.Clone(s)
	}
	return own
}

// Canonical is the request's own ast.Query.Canonical, with its values.
func (s *Shape) Canonical() string { return canonical(s.message.query) }

// cut is where in p's value a slot begins; -1 when p has none. Whatever is not sure
// to be passed on as it is has none.
func (p *pair) cut(callByGet bool) int {
	if !p.hasValue || isReserved(p.key) || p.key == apiKey {
		return -1
	}
	switch _, word := cutLast(p.key); word {
	case "limit", "offset", "order", "and", "or":
		return -1
	}
	rest, negated := strings.CutPrefix(p.value, "not.")
	name := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))]
	op := ast.LookupOperator(name)
	if op == nil && callByGet && !negated {
		return 0
	}
	if op == nil || !strings.HasPrefix(rest[len(name):], ".") {
		return -1
	}
	switch op.Kind {
	case ast.Plain, ast.Quantable, ast.Distinct, ast.Search:
		return len(p.value) - len(rest) + len(name) + len(".")
	}
	return -1
}

// key is a shape's key as it is written. Everything in it has its length before it, or
// one of one, so that no two shapes have one key.
type key []byte

func (k *key) text(s string) {
	*k = append(binary.AppendUvarint(*k, uint64(len(s))), s...)
}

func (k *key) texts(list []string) {
	*k = binary.AppendUvarint(*k, uint64(len(list)))
	for _, s := range list {
		k.text(s)
	}
}

// head writes what comes of the request's line and headers.
func (k *key) head(m *Message) {
	k.text(m.method)
	k.text(m.path)
	k.texts(m.prefer)
	k.texts(m.profile)
	k.text(m.accept)
	k.text(m.contentType)
	k.text(m.ranged)
	*k = binary.AppendUvarint(*k, uint64(len(m.query)))
}

func (k *key) payload(p *payloadShape) {
	if p.isObject {
		k.text("{")
	} else {
		k.text("[")
	}
	k.texts(p.columns)
	for _, form := range p.forms {
		*k = append(*k, byte(form))
	}
}

// What a parameter has for a value, in a key.
const (
	noValue    = "-"
	wholeValue = "="
	cutValue   = "?"
)

// parameter writes p without the value in its slot, which it returns.
func (k *key) parameter(p *pair, callByGet bool) (value string, found bool) {
	k.text(p.key)
	at := p.cut(callByGet)
	switch {
	case at >= 0:
		k.text(cutValue)
		k.text(p.value[:at])
		return p.value[at:], true
	case p.hasValue:
		k.text(wholeValue)
		k.text(p.value)
	default:
		k.text(noValue)
	}
	return "", false
}
