package config

import (
	"os"

	"github.com/spf13/pflag"
)

// AddFlags defines the flags of every setting that has one.
func AddFlags(fs *pflag.FlagSet) {
	for _, s := range Describe() {
		if s.Flag != "" {
			fs.String(s.Flag, s.Default, s.Doc+" ("+s.Name+")")
		}
	}
}

// FromProcess is the Input of this process: its environment, the file .env in
// the working directory, and those flags of AddFlags that were given in fs.
func FromProcess(fs *pflag.FlagSet) Input {
	in := Input{Environ: os.Environ(), EnvFile: ".env", Flags: map[string]string{}}
	known := newNames(bindings(new(Config)))
	fs.Visit(func(f *pflag.Flag) {
		if known.flags[f.Name] {
			in.Flags[f.Name] = f.Value.String()
		}
	})
	return in
}
