package sigv4

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// policy is a form's signed policy: until when it is good and what it asks of the form.
type policy struct {
	expires    time.Time
	conditions []condition
}

// condition is one of a policy's: eq and starts-with of a field, or
// content-length-range of the file.
type condition struct {
	operator, field, value string
	least, most            int64
}

// exempt are the fields that no condition need name; those of x-ignore- are, too.
var exempt = map[string]bool{
	"policy": true, "x-amz-signature": true, "x-amz-algorithm": true, "x-amz-credential": true,
	"x-amz-date": true, "x-amz-security-token": true,
}

// maxConditions bounds a policy: a form has fewer fields.
const maxConditions = 4 * maxFields

// parsePolicy reads a policy's JSON in base64.
func parsePolicy(text string) (p policy, err error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return p, errForm("Invalid POST policy")
	}
	var said struct {
		Expiration string            `json:"expiration"`
		Conditions []json.RawMessage `json:"conditions"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return p, errForm("Invalid POST policy")
	}
	if said.Expiration == "" {
		return p, errForm("Missing policy expiration")
	}
	if p.expires, err = time.Parse(time.RFC3339, said.Expiration); err != nil {
		return p, errForm("Invalid policy expiration")
	}
	if said.Conditions == nil || len(said.Conditions) > maxConditions {
		return p, errForm("Invalid policy conditions")
	}
	for _, raw := range said.Conditions {
		c, err := parseCondition(raw)
		if err != nil {
			return p, err
		}
		p.conditions = append(p.conditions, c)
	}
	return p, nil
}

// parseCondition reads {"field": value}, [operator, "$field", value] or
// ["content-length-range", least, most].
func parseCondition(raw json.RawMessage) (condition, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return condition{}, errForm("Invalid policy condition")
	}
	switch value := value.(type) {
	case map[string]any:
		for field, want := range value {
			if text, ok := scalar(want); ok && len(value) == 1 {
				return condition{operator: "eq", field: strings.ToLower(field), value: text}, nil
			}
		}
		return condition{}, errForm("Invalid policy condition")
	case []any:
		return parseTriple(value)
	}
	return condition{}, errForm("Unsupported policy condition")
}

func parseTriple(list []any) (c condition, err error) {
	var texts [3]string
	if len(list) != len(texts) {
		return c, errForm("Unsupported policy condition")
	}
	for i, item := range list {
		var ok bool
		if texts[i], ok = scalar(item); !ok {
			return c, errForm("Unsupported policy condition")
		}
	}
	c = condition{operator: texts[0], value: texts[2]}
	switch c.operator {
	case "content-length-range":
		var faults [2]error
		c.least, faults[0] = strconv.ParseInt(texts[1], 10, 64)
		c.most, faults[1] = strconv.ParseInt(texts[2], 10, 64)
		if faults[0] != nil || faults[1] != nil {
			return c, errForm("Invalid policy condition")
		}
		return c, nil
	case "eq", "starts-with":
		field, ok := strings.CutPrefix(texts[1], "$")
		if !ok {
			return c, errForm("Invalid policy condition")
		}
		c.field = strings.ToLower(field)
		return c, nil
	}
	return c, errForm("Unsupported policy condition")
}

// scalar is a JSON string or number as text.
func scalar(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case json.Number:
		return value.String(), true
	}
	return "", false
}

// check tests every condition, and that each field has one: who holds a signed policy
// could else add what it does not say. Bounds of the file are left to payload.
func (p policy) check(fields map[string]string, bucket string, payload *Payload) error {
	covered := map[string]bool{}
	value := func(field string) (string, bool) {
		if field == "bucket" {
			return bucket, true
		}
		text, found := fields[field]
		return text, found
	}
	for _, c := range p.conditions {
		given, found := value(c.field)
		switch {
		case c.operator == "content-length-range":
			payload.least, payload.most = max(payload.least, c.least), min(payload.most, c.most)
			continue
		case c.operator == "eq" && (!found || given != c.value):
			return errDenied(fmt.Sprintf("Policy condition failed: %q does not match", c.field))
		case c.operator == "starts-with" && (!found || !strings.HasPrefix(given, c.value)):
			return errDenied(fmt.Sprintf("Policy condition failed: %q does not start with %q", c.field, c.value))
		}
		covered[c.field] = true
	}
	for field := range fields {
		if !covered[field] && !exempt[field] && !strings.HasPrefix(field, "x-ignore-") {
			return errDenied(fmt.Sprintf("Policy condition failed: field %q is not covered by the policy", field))
		}
	}
	if !covered["bucket"] {
		return errDenied(`Policy condition failed: field "bucket" is not covered by the policy`)
	}
	return nil
}
