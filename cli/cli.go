// Package cli are the commands that manage a running madbase: its projects, their
// keys and settings, the audit log and the logs. They speak to the control plane over
// HTTP, as any other client may; nothing here touches a database.
package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/madbase/madbase/platform/secret"
)

// Target is the madbase that is managed.
type Target struct {
	// URL is where its gateway or its control process is: http://localhost:8000.
	URL string
	// Password is its ADMIN_PASSWORD.
	Password secret.String
	// Here says that the password was found beside a madbase of this machine: it goes
	// to no other address.
	Here bool
}

// Commands returns the commands. target finds out which madbase they are for, unless
// the flag --url names another.
func Commands(target func(*cobra.Command) (Target, error)) []*cobra.Command {
	a := &app{target: target}
	all := []*cobra.Command{a.projectCommand(), a.keyCommand(), a.signingKeyCommand(), a.s3KeyCommand(), a.settingsCommand(), a.auditCommand(), a.logsCommand()}
	for _, cmd := range all {
		cmd.PersistentFlags().StringVar(&a.url, "url", "", "address of madbase (MADBASE_URL)")
		cmd.PersistentFlags().BoolVar(&a.json, "json", false, "print what the server answers as JSON")
		cmd.SetUsageTemplate(usage)
	}
	return all
}

// usage is cobra's template without the flags of the server's own settings, which
// these commands do not need.
const usage = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if not .HasAvailableSubCommands}}

Everywhere:
      --url string        address of madbase (MADBASE_URL)
      --json              print what the server answers as JSON

The password is that of ADMIN_PASSWORD, from the environment or .env.{{else}}

"{{.CommandPath}} COMMAND --help" tells more of a command.{{end}}
`

// app is what the commands share.
type app struct {
	target  func(*cobra.Command) (Target, error)
	url     string
	json    bool
	project string
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(commands...)
	return cmd
}

// forProject adds the flag that names the project.
func (a *app) forProject(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().StringVarP(&a.project, "project", "p", "default", "ref of the project")
	return cmd
}

// run is a command's RunE: it is given a client and the arguments.
func (a *app) run(do func(*cobra.Command, *client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		target, err := a.target(cmd)
		if err != nil {
			return err
		}
		if a.url != "" && a.url != target.URL {
			target.URL = a.url
			if target.Here {
				target.Password = ""
			}
		}
		c, err := newClient(target)
		if err != nil {
			return err
		}
		return do(cmd, c, args)
	}
}

// path is one of the project's routes, of the given parts.
func (a *app) path(parts ...string) string {
	path := "/projects/" + url.PathEscape(a.project)
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// show prints an answer: as it is with --json, or else in the form that text gives it.
func (a *app) show(cmd *cobra.Command, answer []byte, text func(io.Writer) error) error {
	if a.json {
		return printJSON(cmd.OutOrStdout(), answer)
	}
	return text(cmd.OutOrStdout())
}

// confirm asks before something that cannot be undone.
func confirm(cmd *cobra.Command, question string) error {
	if yes, _ := cmd.Flags().GetBool("yes"); yes {
		return nil
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return errors.New("this cannot be undone: say --yes")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	answer, err := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// withYes adds the flag that answers confirm.
func withYes(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolP("yes", "y", false, "do not ask")
	return cmd
}
