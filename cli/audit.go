package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"
)

func (a *app) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "Tell who changed what, the newest first", Args: cobra.NoArgs,
		Example: "  madbase audit --limit 20\n  madbase audit --project default --action settings.",
	}
	limit := cmd.Flags().Int("limit", 50, "how many changes, 1 to 1000")
	before := cmd.Flags().Int64("before", 0, "only changes before the one of this id")
	project := cmd.Flags().StringP("project", "p", "", "only changes of this project")
	action := cmd.Flags().String("action", "", "only this action; one that ends in a dot is a beginning")
	cmd.RunE = a.run(func(cmd *cobra.Command, c *client, _ []string) error {
		query := url.Values{"limit": {fmt.Sprint(*limit)}, "project": {*project}, "action": {*action}}
		if *before > 0 {
			query.Set("before", fmt.Sprint(*before))
		}
		var page struct {
			Entries []struct {
				ID                                  int64
				At, Actor, Address, Project, Action string
				Detail                              json.RawMessage
			}
		}
		answer, err := c.get(cmd.Context(), "/audit", query, &page)
		if err != nil {
			return err
		}
		return a.show(cmd, answer, func(out io.Writer) error {
			rows := [][]string{}
			for _, e := range page.Entries {
				rows = append(rows, []string{fmt.Sprint(e.ID), when(e.At), e.Actor, e.Address, e.Project, e.Action, string(e.Detail)})
			}
			return table(out, "No changes.", []string{"ID", "TIME", "WHO", "FROM", "PROJECT", "ACTION", "DETAIL"}, rows)
		})
	})
	return cmd
}
