package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/madbase/madbase/platform/apierr"
)

// fields are a request's named values, of its JSON body or its query. The first
// fault is kept in err, in the words of the service's own validation; what is
// read after it does not matter.
type fields struct {
	where  string
	values map[string]any
	err    *apierr.Error
}

// body reads the request's JSON object.
func (rq *call) body() (*fields, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(rq.Response(), rq.Request().Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, err
		}
		return nil, errBody(err)
	}
	f := &fields{where: "body"}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := decoder.Decode(&value); err != nil || decoder.More() {
			return nil, errInvalid("Body is not valid JSON but content-type is set to 'application/json'").Because(err)
		}
	}
	var ok bool
	if f.values, ok = value.(map[string]any); !ok {
		return nil, errInvalid("body must be object")
	}
	return f, nil
}

// query reads the request's query; a repeated name counts once.
func (rq *call) query() *fields { return queryFields(rq.QueryParams()) }

func queryFields(q url.Values) *fields {
	f := &fields{where: "querystring", values: make(map[string]any, len(q))}
	for name, values := range q {
		f.values[name] = values[0]
	}
	return f
}

// object reads a member that is an object itself; nil when it is absent.
func (f *fields) object(name string) *fields {
	switch v := f.values[name].(type) {
	case nil:
		return nil
	case map[string]any:
		return &fields{where: f.where + "/" + name, values: v}
	}
	f.fault(name, "must be object")
	return nil
}

// join takes over the fault of a member.
func (f *fields) join(member *fields) {
	if member != nil && f.err == nil {
		f.err = member.err
	}
}

// fault answers the first fault found, or nil.
func (f *fields) fails() error {
	if f.err == nil {
		return nil
	}
	return f.err
}

func (f *fields) fault(name, what string) {
	if f.err == nil {
		f.err = errInvalid("%s/%s %s", f.where, name, what)
	}
}

// require faults the first of names that is absent.
func (f *fields) require(names ...string) {
	for _, name := range names {
		if _, found := f.values[name]; !found && f.err == nil {
			f.err = errInvalid("%s must have required property '%s'", f.where, name)
		}
	}
}

func (f *fields) has(name string) bool {
	_, found := f.values[name]
	return found
}

// text reads a string; numbers and truth values pass as what they look like.
func (f *fields) text(name string) string {
	switch v := f.values[name].(type) {
	case nil:
	case string:
		return v
	case json.Number, bool:
		return fmt.Sprint(v)
	default:
		f.fault(name, "must be string")
	}
	return ""
}

// oneOf reads a string that must be one of allowed, or fallback when it is absent.
func (f *fields) oneOf(name, fallback string, allowed ...string) string {
	if f.values[name] == nil {
		return fallback
	}
	value := f.text(name)
	for _, a := range allowed {
		if value == a {
			return value
		}
	}
	f.fault(name, "must be equal to one of the allowed values")
	return fallback
}

// integer reads a whole number of at least least; nil when it is absent.
func (f *fields) integer(name string, least int64) *int64 {
	var text string
	switch v := f.values[name].(type) {
	case nil:
		return nil
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil { // such as 1e3, which is whole too
		x, floatErr := strconv.ParseFloat(text, 64)
		if floatErr != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			f.fault(name, "must be integer")
			return nil
		}
		n = int64(x)
	}
	if n < least {
		f.fault(name, fmt.Sprintf("must be >= %d", least))
	}
	return &n
}

// number reads a finite number; nil when it is absent.
func (f *fields) number(name string) *float64 {
	var text string
	switch v := f.values[name].(type) {
	case nil:
		return nil
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		f.fault(name, "must be number")
		return nil
	}
	return &x
}

// boolean reads a truth value, or fallback when it is absent.
func (f *fields) boolean(name string, fallback bool) bool {
	switch v := f.values[name].(type) {
	case nil:
		return fallback
	case bool:
		return v
	case string:
		if v == "true" || v == "false" {
			return v == "true"
		}
	}
	f.fault(name, "must be boolean")
	return fallback
}

// texts reads a list of strings; nil when it is absent or null.
func (f *fields) texts(name string) []string {
	switch v := f.values[name].(type) {
	case nil:
		return nil
	case []any:
		list := make([]string, 0, len(v))
		for i, item := range v {
			text, ok := item.(string)
			if !ok {
				f.fault(name+"/"+strconv.Itoa(i), "must be string")
			}
			list = append(list, text)
		}
		return list
	}
	f.fault(name, "must be array")
	return nil
}
