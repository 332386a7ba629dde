package cli

import (
	"io"
	"net/url"

	"github.com/spf13/cobra"
)

type project struct {
	Ref    string `json:"ref"`
	Name   string `json:"name"`
	Status string `json:"status"`
	APIURL string `json:"api_url"`
}

func (a *app) projectCommand() *cobra.Command {
	cmd := group("project", "Manage the projects", a.projectList(), a.projectShow(), a.projectCreate(), a.projectRename(),
		a.projectStatus("suspend", "Stop serving a project, and keep what it has"), a.projectStatus("resume", "Serve a suspended project again"), a.projectDelete())
	cmd.Example = "  madbase project list\n  madbase project show default"
	return cmd
}

func (a *app) projectList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the projects", Args: cobra.NoArgs}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		var list []project
		answer, err := c.get(cmd.Context(), "/projects", nil, &list)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error { return printProjects(out, list...) })
	})
	return cmd
}

func (a *app) projectShow() *cobra.Command {
	cmd := &cobra.Command{Use: "show REF", Short: "Show one project", Args: cobra.ExactArgs(1)}
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, args []string) error {
		var p project
		answer, err := c.get(cmd.Context(), "/projects/"+url.PathEscape(args[0]), nil, &p)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error { return printProjects(out, p) })
	})
	return cmd
}

func printProjects(out io.Writer, list ...project) error {
	rows := [][]string{}
	for _, p := range list {
		rows = append(rows, []string{p.Ref, p.Name, p.Status, p.APIURL})
	}
	return table(out, "No projects.", []string{"REF", "NAME", "STATUS", "ADDRESS"}, rows)
}
