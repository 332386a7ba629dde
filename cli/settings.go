package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

type setting struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Value  string `json:"value"`
	Source string `json:"source"`
	Doc    string `json:"doc"`
}

type settingList struct {
	Settings []setting `json:"settings"`
}

// maxFile bounds a file of settings, or one setting's value, in bytes.
const maxFile = 4 << 20

func (a *app) settingsCommand() *cobra.Command {
	cmd := group("settings", "Show and change a project's settings, without a restart",
		a.settingsList(), a.settingsGet(), a.settingsSet(), a.settingsUnset(), a.settingsExport(), a.settingsImport())
	cmd.Example = `  madbase settings set GOTRUE_SITE_URL=https://app.example.com GOTRUE_SMTP_HOST=mail.example.com
  madbase settings set GOTRUE_SMTP_PASS=- < password.txt
  madbase settings export --secrets > settings.json`
	return a.forProject(cmd)
}

func (a *app) settingsList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the project's own settings", Args: cobra.NoArgs}
	all := cmd.Flags().Bool("all", false, "list every setting that a project can have, with what counts for it")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		var list settingList
		answer, err := c.get(cmd.Context(), a.path("settings"), url.Values{"all": {fmt.Sprint(*all)}}, &list)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error { return printSettings(out, list.Settings) })
	})
	return cmd
}

func printSettings(out io.Writer, list []setting) error {
	rows := [][]string{}
	for _, s := range list {
		rows = append(rows, []string{s.Name, s.Value, s.Source})
	}
	return table(out, "The project has no settings of its own: the process's count.", []string{"NAME", "VALUE", "FROM"}, rows)
}

func (a *app) settingsGet() *cobra.Command {
	cmd := &cobra.Command{Use: "get NAME", Short: "Tell what a setting is for and what it holds", Args: cobra.ExactArgs(1)}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		var list settingList
		if _, err := c.get(cmd.Context(), a.path("settings"), url.Values{"all": {"true"}}, &list); err != nil {
			return err
		}
		for _, s := range list.Settings {
			if s.Name != args[0] {
				continue
			}
			answer, err := json.Marshal(s)
			if err != nil {
				return fmt.Errorf("write the setting: %w", err)
			}
			return a.show(cmd, answer, func(out io.Writer) error {
				_, err := fmt.Fprintf(out, "%s = %s\n%s, from the %s. %s\n", s.Name, visible(s.Value), s.Type, s.Source, s.Doc)
				return err
			})
		}
		return fmt.Errorf("a project has no setting %s; \"madbase settings list --all\" shows all", visible(args[0]))
	})
	return cmd
}

func (a *app) settingsSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set NAME=VALUE...", Short: "Set settings, all or none", Args: cobra.MinimumNArgs(1),
		Long: "Set settings, all or none. NAME=- reads the value from standard input and NAME=@FILE from a file,\nso that a secret is in no shell's history.",
	}
	dryRun := cmd.Flags().Bool("dry-run", false, "only check, and change nothing")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		patch := map[string]any{}
		for _, arg := range args {
			name, value, found := strings.Cut(arg, "=")
			if !found {
				return fmt.Errorf("%s is not NAME=VALUE", visible(arg))
			}
			value, err := settingValue(cmd, value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			patch[name] = value
		}
		return a.patchSettings(cmd, c, patch, *dryRun)
	})
	return cmd
}

// settingValue reads what - and @FILE stand for; a final line break is no part of it.
func settingValue(cmd *cobra.Command, value string) (string, error) {
	var text []byte
	var err error
	switch {
	case value == "-":
		text, err = readLimited(cmd.InOrStdin())
	case strings.HasPrefix(value, "@"):
		text, err = readFile(cmd, value[1:])
	default:
		return value, nil
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), err
}

func readLimited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("it is too long")
	}
	return text, err
}

// readFile reads a file, or standard input for -.
func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return readLimited(cmd.InOrStdin())
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readLimited(f)
}

func (a *app) settingsUnset() *cobra.Command {
	cmd := &cobra.Command{Use: "unset NAME...", Short: "Give the project the process's values again", Args: cobra.MinimumNArgs(1)}
	dryRun := cmd.Flags().Bool("dry-run", false, "only check, and change nothing")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		patch := map[string]any{}
		for _, name := range args {
			patch[name] = nil
		}
		return a.patchSettings(cmd, c, patch, *dryRun)
	})
	return cmd
}

func (a *app) patchSettings(cmd *cobra.Command, c *client, patch any, dryRun bool) error {
	var list settingList
	answer, err := c.ask(cmd.Context(), request{method: http.MethodPatch, path: a.path("settings"), query: url.Values{"dry_run": {fmt.Sprint(dryRun)}}, body: patch}, &list)
	if err != nil {
		return err
	}
	return a.show(cmd, answer, func(out io.Writer) error {
		if dryRun {
			_, err := fmt.Fprintln(out, "The settings are right; nothing was changed.")
			return err
		}
		return printSettings(out, list.Settings)
	})
}

func (a *app) settingsExport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Print the project's own settings as one file", Args: cobra.NoArgs,
		Long: "Print the project's own settings as one file. Secrets are left out, or, with --secrets, sealed under\nthe master key: only a madbase with the same MADBASE_MASTER_KEY can import them.",
	}
	secrets := cmd.Flags().Bool("secrets", false, "with the secrets, sealed")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		answer, err := c.call(cmd.Context(), request{
			method: http.MethodGet, path: a.path("settings", "export"), query: url.Values{"secrets": {fmt.Sprint(*secrets)}},
		})
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), answer)
	})
	return cmd
}

func (a *app) settingsImport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Give the project the settings of an export, and no others", Args: cobra.ExactArgs(1),
		Long: "Give the project the settings of an export, and no others. FILE may be - for standard input. Secrets\nthat the export leaves out stay as they are.",
	}
	merge := cmd.Flags().Bool("merge", false, "keep the settings that the export does not name")
	dryRun := cmd.Flags().Bool("dry-run", false, "only check, and change nothing")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		text, err := readFile(cmd, args[0])
		if err != nil {
			return err
		}
		if !json.Valid(text) {
			return fmt.Errorf("%s is not JSON", args[0])
		}
		query := url.Values{"merge": {fmt.Sprint(*merge)}, "dry_run": {fmt.Sprint(*dryRun)}}
		var list settingList
		answer, err := c.ask(cmd.Context(), request{method: http.MethodPost, path: a.path("settings", "import"), query: query, body: json.RawMessage(text)}, &list)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error { return printSettings(out, list.Settings) })
	})
	return cmd
}
