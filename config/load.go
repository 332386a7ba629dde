package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Input is where Load takes settings from.
type Input struct {
	// Environ are the variables as NAME=value, as os.Environ has them.
	Environ []string
	// EnvFile is the path of a .env file; one that does not exist is empty.
	EnvFile string
	// Flags are the flags given on the command line, by name.
	Flags map[string]string
}

// Faults is everything that is wrong with the settings.
type Faults []error

// Error lists the faults, one a line.
func (f Faults) Error() string {
	var b strings.Builder
	b.WriteString("the settings have faults:")
	for _, err := range f {
		b.WriteString("\n  - " + err.Error())
	}
	return b.String()
}

// Unwrap makes the single faults reachable by errors.Is and errors.As.
func (f Faults) Unwrap() []error { return f }

// add appends faults that are not there yet; what errors.Join put together is
// taken apart.
func (f *Faults) add(err error) {
	if err == nil {
		return
	}
	if parts := joined(err); parts != nil {
		for _, e := range parts {
			f.add(e)
		}
		return
	}
	for _, e := range *f {
		if e.Error() == err.Error() {
			return
		}
	}
	*f = append(*f, err)
}

// joined returns the parts of an error of errors.Join. An error that wraps
// several by %w has parts too, but says more than they do: it stays whole.
func joined(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	texts := make([]string, 0, 4)
	for _, e := range several.Unwrap() {
		texts = append(texts, e.Error())
	}
	if strings.Join(texts, "\n") != err.Error() {
		return nil
	}
	return several.Unwrap()
}

// Load returns the settings of in: defaults, overridden by the .env file,
// overridden by the environment, overridden by flags. An empty variable counts
// as not set, unless the setting's tag is empty:"value". The error is of type Faults.
func Load(in Input) (*Config, error) {
	var faults Faults
	file := readEnvFile(in.EnvFile, &faults)
	environ := environment(in.Environ)
	c := &Config{}
	all := bindings(c)
	known := newNames(all)
	known.checkFile(in.EnvFile, file, &faults)
	known.checkEnvironment(environ, &faults)
	known.checkFlags(in.Flags, &faults)

	origin := map[string]string{}
	for _, b := range all {
		value, from, err := b.lookup(in.Flags, environ, file)
		faults.add(err)
		if value == nil {
			continue
		}
		origin[b.Name] = from
		if err := value.into(b); err != nil {
			faults.add(fmt.Errorf("%s: %w", cmp.Or(from, b.Name), err))
		}
	}
	c.settle(origin)
	faults.add(c.validate())
	if len(faults) > 0 {
		return nil, faults
	}
	return c, nil
}

func readEnvFile(path string, faults *Faults) map[string]string {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		faults.add(fmt.Errorf("config: %w", err))
		return nil
	}
	values, errs := parseEnvFile(path, string(text))
	for _, err := range errs {
		faults.add(err)
	}
	return values
}

func environment(environ []string) map[string]string {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, found := strings.Cut(entry, "="); found {
			values[name] = value
		}
	}
	return values
}
