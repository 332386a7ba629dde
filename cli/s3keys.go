package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

type s3Key struct {
	ID          string `json:"id"`
	Description string `json:"description"`
	AccessKey   string `json:"access_key"`
	SecretKey   string `json:"secret_key"`
	CreatedAt   string `json:"created_at"`
}

func (a *app) s3KeyCommand() *cobra.Command {
	revoke := &cobra.Command{Use: "revoke ID", Short: "End a key within two seconds", Args: cobra.ExactArgs(1)}
	revoke.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		if err := confirm(cmd, fmt.Sprintf("Revoke the S3 access key %s of project %s?", args[0], a.project)); err != nil {
			return err
		}
		_, err := c.call(cmd.Context(), request{method: http.MethodDelete, path: a.path("s3", "credentials", args[0])})
		if err != nil || a.json { // the answer is empty
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "Revoked.")
		return err
	})
	cmd := group("s3-key", "Manage a project's access keys of the S3 protocol", a.s3KeyList(), a.s3KeyCreate(), withYes(revoke))
	cmd.Long = cmd.Short + ".\n\nThe project's own pair is not among them: \"madbase keys\" prints it."
	cmd.Example = "  madbase s3-key create \"nightly backup\"\n  madbase s3-key create uploads --role authenticated --sub USER\n  madbase s3-key revoke ID"
	return a.forProject(cmd)
}

func (a *app) s3KeyList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the keys", Args: cobra.NoArgs}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		var keys []s3Key
		answer, err := c.get(cmd.Context(), a.path("s3", "credentials"), nil, &keys)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			rows := [][]string{}
			for _, k := range keys {
				rows = append(rows, []string{k.ID, k.AccessKey, when(k.CreatedAt), k.Description})
			}
			return table(out, "No keys.", []string{"ID", "ACCESS KEY", "CREATED", "DESCRIPTION"}, rows)
		})
	})
	return cmd
}

func (a *app) s3KeyCreate() *cobra.Command {
	cmd := &cobra.Command{Use: "create DESCRIPTION", Short: "Make a key and print its secret, once", Args: cobra.ExactArgs(1)}
	role := cmd.Flags().String("role", "", "role that the key acts as; service_role by default, past policies")
	sub := cmd.Flags().String("sub", "", "user whom the key acts as")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		body := map[string]any{"description": args[0]}
		switch {
		case *sub != "" && *role == "":
			return errors.New("--sub needs a --role, such as authenticated")
		case *sub != "":
			body["claims"] = map[string]string{"role": *role, "sub": *sub}
		case *role != "":
			body["claims"] = map[string]string{"role": *role}
		}
		var key s3Key
		answer, err := c.ask(cmd.Context(), request{method: http.MethodPost, path: a.path("s3", "credentials"), body: body}, &key)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "id          %s\naccess key  %s\nsecret key  %s\n", key.ID, key.AccessKey, key.SecretKey)
			return err
		})
	})
	return cmd
}
