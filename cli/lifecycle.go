package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func (a *app) projectCreate() *cobra.Command {
	cmd := &cobra.Command{Use: "create NAME", Short: "Make a project with a database of its own", Args: cobra.ExactArgs(1)}
	ref := cmd.Flags().String("ref", "", "short name in its addresses; a random one by default")
	database := cmd.Flags().String("database-url", "", "owner's URL of a database elsewhere; - reads it from standard input, @FILE from a file")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		body := map[string]string{"name": args[0]}
		if *ref != "" {
			body["ref"] = *ref
		}
		if cmd.Flags().Changed("database-url") {
			address, err := settingValue(cmd, *database)
			if err != nil {
				return fmt.Errorf("--database-url: %w", err)
			}
			if address == "" { // else the project's database would be made beside the others
				return errors.New("--database-url is empty")
			}
			body["database_url"] = address
		}
		return a.changeProject(cmd, c, request{method: http.MethodPost, path: "/projects", body: body})
	})
	return cmd
}

func (a *app) projectRename() *cobra.Command {
	cmd := &cobra.Command{Use: "rename REF NAME", Short: "Give a project another name; its ref stays", Args: cobra.ExactArgs(2)}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		return a.changeProject(cmd, c, request{
			method: http.MethodPatch, path: "/projects/" + url.PathEscape(args[0]), body: map[string]string{"name": args[1]},
		})
	})
	return cmd
}

// projectStatus is the command suspend or resume.
func (a *app) projectStatus(verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " REF", Short: short, Args: cobra.ExactArgs(1)}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		return a.changeProject(cmd, c, request{method: http.MethodPost, path: "/projects/" + url.PathEscape(args[0]) + "/" + verb})
	})
	return cmd
}

func (a *app) projectDelete() *cobra.Command {
	cmd := &cobra.Command{Use: "delete REF", Short: "Delete a project with its database and objects, for good", Args: cobra.ExactArgs(1)}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		if err := confirm(cmd, "Delete the project "+visible(args[0])+" with its database and objects?"); err != nil {
			return err
		}
		_, err := c.call(cmd.Context(), request{
			method: http.MethodDelete, path: "/projects/" + url.PathEscape(args[0]), body: map[string]string{"confirm": args[0]},
		})
		if err == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "Project %s is being deleted.\n", visible(args[0]))
		}
		return err
	})
	return withYes(cmd)
}

// changeProject sends a change and shows what the project is now.
func (a *app) changeProject(cmd *cobra.Command, c *client, q request) error {
	var p project
	answer, err := c.ask(cmd.Context(), q, &p)
	if err != nil {
		return err
	}
	return a.show(cmd, answer, func(out io.Writer) error { return printProjects(out, p) })
}
