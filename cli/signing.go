package cli

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

type signingKey struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm"`
	Status    string `json:"status"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

func (a *app) signingKeyCommand() *cobra.Command {
	create := &cobra.Command{Use: "create", Short: "Make a key that waits for its use as standby", Args: cobra.NoArgs}
	algorithm := create.Flags().String("algorithm", "ES256", "ES256, RS256, EdDSA or HS256")
	create.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		return a.changeSigningKey(cmd, c, a.path("signing-keys"), map[string]string{"algorithm": *algorithm})
	})
	rotate := &cobra.Command{
		Use: "rotate ID", Short: "Have a standby or previously used key sign from now on", Args: cobra.ExactArgs(1),
		Long: "Have a standby or previously used key sign from now on. The one before goes on verifying, so that\nnobody is signed out. Wait with it until all who keep the JWKS have read the new key.",
	}
	rotate.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		return a.changeSigningKey(cmd, c, a.path("signing-keys", args[0], "rotate"), nil)
	})
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "End a key that does not sign, and all tokens that it signed", Args: cobra.ExactArgs(1),
		Long: "End a key that does not sign, and all tokens that it signed. With the key \"configured\" that is\nJWT_SECRET's: the keys anon and service_role end with it.",
	}
	revoke.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		if err := confirm(cmd, fmt.Sprintf("Revoke the signing key %s of project %s, and all tokens that it signed?", args[0], a.project)); err != nil {
			return err
		}
		return a.changeSigningKey(cmd, c, a.path("signing-keys", args[0], "revoke"), nil)
	})
	cmd := group("signing-key", "Manage the keys that sign a project's tokens", a.signingKeyList(), create, rotate, withYes(revoke))
	cmd.Example = "  madbase signing-key create\n  madbase signing-key rotate ID\n  madbase signing-key revoke configured"
	return a.forProject(cmd)
}

func (a *app) signingKeyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the signing keys", Args: cobra.NoArgs}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		var list struct{ Keys []signingKey }
		answer, err := c.get(cmd.Context(), a.path("signing-keys"), nil, &list)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			rows := [][]string{}
			for _, k := range list.Keys {
				rows = append(rows, []string{k.ID, k.Algorithm, k.Status, when(k.UpdatedAt)})
			}
			return table(out, "No keys.", []string{"ID", "ALGORITHM", "STATUS", "SINCE"}, rows)
		})
	})
	return cmd
}

// changeSigningKey sends a change and tells what the key is now.
func (a *app) changeSigningKey(cmd *cobra.Command, c *client, path string, body any) error {
	var key signingKey
	answer, err := c.ask(cmd.Context(), request{method: http.MethodPost, path: path, body: body}, &key)
	if err != nil {
		return err
	}
	return a.show(cmd, answer, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s  %s  %s\n", key.ID, key.Algorithm, key.Status)
		return err
	})
}
