package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

type apiKey struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Type        string `json:"type"`
	APIKey      string `json:"api_key"`
	Description string `json:"description"`
	ExpiresAt   string `json:"expires_at"`
	LastUsedAt  string `json:"last_used_at"`
	RevokedAt   string `json:"revoked_at"`
}

func (a *app) keyCommand() *cobra.Command {
	cmd := group("key", "Manage a project's API keys", a.keyList(), a.keyCreate(), a.keyUpdate(), a.keyRevoke())
	cmd.Example = `  madbase key list
  madbase key create ci --type secret --expires 720h
  madbase key revoke 6f1c62f0-0d3c-4c1f-8e7e-0f6c2f3c7d11`
	return a.forProject(cmd)
}

func (a *app) keyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the API keys", Args: cobra.NoArgs}
	reveal := cmd.Flags().Bool("reveal", false, "show secret keys whole")
	revoked := cmd.Flags().Bool("revoked", false, "list revoked keys, too")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		query := url.Values{"reveal": {fmt.Sprint(*reveal)}, "revoked": {fmt.Sprint(*revoked)}}
		var keys []apiKey
		answer, err := c.get(cmd.Context(), a.path("api-keys"), query, &keys)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			rows := [][]string{}
			for _, k := range keys {
				expires := when(k.ExpiresAt)
				if k.RevokedAt != "" {
					expires = "revoked " + when(k.RevokedAt)
				}
				rows = append(rows, []string{k.ID, k.Name, k.Type, expires, when(k.LastUsedAt), k.APIKey})
			}
			return table(out, "No keys.", []string{"ID", "NAME", "TYPE", "EXPIRES", "LAST USED", "KEY"}, rows)
		})
	})
	return cmd
}

func (a *app) keyCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an API key and print it", Args: cobra.ExactArgs(1),
		Example: "  madbase key create web\n  madbase key create ci --type secret --expires 720h",
	}
	kind := cmd.Flags().String("type", "publishable", "publishable (role anon, for apps) or secret (role service_role, for servers)")
	description := cmd.Flags().String("description", "", "what the key is for")
	expires := cmd.Flags().String("expires", "", "when the key ends: a duration (720h) or a time (2027-01-31T00:00:00Z)")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		body := map[string]any{"name": args[0], "type": *kind, "description": *description}
		if *expires != "" {
			at, err := moment(*expires)
			if err != nil {
				return err
			}
			body["expires_at"] = at
		}
		var key apiKey
		answer, err := c.ask(cmd.Context(), request{method: http.MethodPost, path: a.path("api-keys"), body: body}, &key)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			_, err := fmt.Fprintln(out, key.APIKey)
			return err
		})
	})
	return cmd
}

// moment reads a time, or a duration from now.
func moment(text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(d).UTC().Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is neither a duration such as 720h nor a time such as 2027-01-31T00:00:00Z", text)
	}
	return t, nil
}

func (a *app) keyUpdate() *cobra.Command {
	cmd := &cobra.Command{Use: "update ID", Short: "Change a key's name, description or end", Args: cobra.ExactArgs(1)}
	name := cmd.Flags().String("name", "", "another name")
	description := cmd.Flags().String("description", "", "what the key is for")
	expires := cmd.Flags().String("expires", "", "when the key ends: a duration, a time, or never")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		body := map[string]any{}
		if cmd.Flags().Changed("name") {
			body["name"] = *name
		}
		if cmd.Flags().Changed("description") {
			body["description"] = *description
		}
		switch *expires {
		case "":
		case "never":
			body["expires_at"] = nil
		default:
			at, err := moment(*expires)
			if err != nil {
				return err
			}
			body["expires_at"] = at
		}
		if len(body) == 0 {
			return errors.New("say what is to change: --name, --description or --expires")
		}
		var key apiKey
		answer, err := c.ask(cmd.Context(), request{method: http.MethodPatch, path: a.path("api-keys", args[0]), body: body}, &key)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "Key %s is now %s, expires: %s\n", key.ID, visible(key.Name), when(key.ExpiresAt))
			return err
		})
	})
	return cmd
}

func (a *app) keyRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "End a key for good, everywhere within 2 seconds", Args: cobra.ExactArgs(1),
		Long: "End a key for good, everywhere within 2 seconds. The keys that a project begins with have\nthe ids anon, service_role, publishable and secret.",
	}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		if err := confirm(cmd, fmt.Sprintf("Revoke the key %s of project %s?", args[0], a.project)); err != nil {
			return err
		}
		var key apiKey
		answer, err := c.ask(cmd.Context(), request{method: http.MethodDelete, path: a.path("api-keys", args[0])}, &key)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "Key %s (%s) is revoked.\n", key.ID, visible(key.Name))
			return err
		})
	})
	return withYes(cmd)
}
