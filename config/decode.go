package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/madbase/madbase/platform/secret"
)

// typeName is how documentation calls a field's type; empty for one that cannot be set.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[secret.String]():
		return "secret"
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[[]string]():
		return "list"
	case reflect.TypeFor[map[string]string]():
		return "map"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	}
	return ""
}

// decode sets field to what text says. Its errors do not quote text when the
// field is a secret.
func decode(field reflect.Value, text string) error {
	var err error
	switch typeName(field.Type()) {
	case "secret", "text":
		field.SetString(text)
	case "duration":
		var d time.Duration
		d, err = duration(text)
		field.SetInt(int64(d))
	case "bool":
		var b bool
		b, err = boolean(text)
		field.SetBool(b)
	case "number":
		err = number(field, text)
	case "list":
		field.Set(reflect.ValueOf(list(text)))
	case "map":
		var m map[string]string
		m, err = pairs(text)
		field.Set(reflect.ValueOf(m))
	default:
		err = fmt.Errorf("has a type that no setting can have: %s", field.Type())
	}
	return err
}

// duration reads 1m30s, and whole seconds because PostgREST and GoTrue count in them.
func duration(text string) (time.Duration, error) {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 30s or 5m", text)
	}
	return d, nil
}

func boolean(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on", "t":
		return true, nil
	case "false", "0", "no", "off", "f":
		return false, nil
	}
	return false, fmt.Errorf("%q is not true or false", text)
}

func number(field reflect.Value, text string) error {
	if field.Kind() == reflect.Float64 {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		field.SetFloat(f)
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || field.OverflowInt(n) {
		return fmt.Errorf("%q is not a whole number", text)
	}
	field.SetInt(n)
	return nil
}

func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func pairs(text string) (map[string]string, error) {
	m := map[string]string{}
	for _, item := range list(text) {
		key, value, found := strings.Cut(item, "=")
		if !found || key == "" {
			return nil, errors.New("is not a list of key=value pairs") // may hold secrets: not quoted
		}
		m[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return m, nil
}

// encode is decode's inverse for printing; secrets come out masked.
func encode(field reflect.Value) string {
	switch v := field.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case map[string]string:
		items := slices.Sorted(maps.Keys(v))
		for i, key := range items {
			items[i] = key + "=" + v[key]
		}
		return strings.Join(items, ",")
	default:
		return fmt.Sprint(v)
	}
}
