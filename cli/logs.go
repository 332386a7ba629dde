package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// logLine is a line that a process remembers, with all that it says.
type logLine struct {
	Process string         `json:"process"`
	Line    map[string]any `json:"line"`
}

func (a *app) logsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "logs", Short: "Search what the processes remember of their logs", Args: cobra.NoArgs,
		Example: "  madbase logs --level warn --since 1h\n  madbase logs --request-id 4f1c62f0d3c",
	}
	flags := map[string]*string{
		"level":      cmd.Flags().String("level", "info", "least severe level: debug, info, warn or error"),
		"since":      cmd.Flags().String("since", "15m", "from when on: a duration before now, or a time as RFC 3339"),
		"until":      cmd.Flags().String("until", "", "until when, likewise"),
		"text":       cmd.Flags().String("text", "", "what stands somewhere in the line"),
		"request_id": cmd.Flags().String("request-id", "", "lines of this request alone"),
	}
	limit := cmd.Flags().Int("limit", 100, "how many lines, 1 to 5000; the newest count")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		query := url.Values{"source": {"recent"}, "limit": {fmt.Sprint(*limit)}}
		for name, value := range flags {
			if *value != "" {
				query.Set(name, *value)
			}
		}
		var found struct {
			Processes []struct {
				Name   string
				Failed bool
			}
			Lines []logLine
		}
		answer, err := c.get(cmd.Context(), "/logs", query, &found)
		if err != nil {
			return err
		}
		for _, p := range found.Processes {
			if p.Failed {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s did not answer\n", p.Name)
			}
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			for _, line := range slices.Backward(found.Lines) { // as a log is read: the newest last
				if _, err := fmt.Fprintln(out, line.text()); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return cmd
}

// text is the line for people: time, level, process, message, and the rest by name.
func (l logLine) text() string {
	take := func(name string) string {
		text := fmt.Sprint(l.Line[name])
		delete(l.Line, name)
		return text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s [%s] %s", take("time"), take("level"), l.Process, take("msg"))
	delete(l.Line, "role")
	for _, name := range slices.Sorted(maps.Keys(l.Line)) {
		value, err := json.Marshal(l.Line[name])
		if err != nil { // it was read from JSON
			continue
		}
		fmt.Fprintf(&b, " %s=%s", name, value)
	}
	return visible(b.String())
}
