// Command madbase is Supabase's API in one binary: PostgREST, GoTrue and storage
// compatible services over PostgreSQL, with a private PostgreSQL when none is given.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/madbase/madbase/cli"
	"github.com/madbase/madbase/config"
	"github.com/madbase/madbase/modules"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "dev"

func main() {
	ctx, stop := untilSignal()
	defer stop()
	// A write to a closed pipe is an error like others: who stops reading the log must not stop the server.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "madbase: "+err.Error())
		stop()
		os.Exit(1)
	}
}

// untilSignal returns a context that Ctrl-C or SIGTERM ends. A second one ends the
// process at once, however soon it follows; the private PostgreSQL notices by itself.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(130) // as a shell reports a program that Ctrl-C ended
	}()
	return ctx, cancel
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use: "madbase", Short: "Supabase's API in one binary", Version: version,
		SilenceUsage: true, SilenceErrors: true,
	}
	config.AddFlags(cmd.PersistentFlags())
	serve := command("serve", "Start madbase: everything in one process, or one --role of a cluster", modules.Run)
	serve.Long = serve.Short + ".\n\nSettings, by flag, environment variable or .env file:\n\n" + config.Help()
	keys := command("keys", "Print the project's API keys and addresses", modules.PrintKeys)
	keys.Flags().Bool("json", false, "print one JSON object")
	cmd.AddCommand(
		serve, keys,
		command("migrate", "Bring the database up to date and end", modules.Migrate),
		looksAfterStorage(),
		command("health", "Ask the process at the listening address whether it is ready", modules.Health),
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), version)
		}},
	)
	cmd.AddCommand(cli.Commands(target)...)
	return cmd
}

func looksAfterStorage() *cobra.Command {
	var s modules.Sweep
	sweep := command("sweep", "Remove bytes that no object names, as crashes leave them, and tell of objects without bytes", s.Run)
	sweep.Flags().BoolVar(&s.DryRun, "dry-run", false, "tell, and remove nothing")
	sweep.Flags().StringVar(&s.Project, "project", "", "look after the project of this ref rather than the default one")
	sweep.Flags().BoolVar(&s.All, "all", false, "look after all projects")
	sweep.Flags().StringVar(&s.Bucket, "bucket", "", "look at this bucket alone")
	sweep.Flags().DurationVar(&s.Age, "older-than", time.Hour, "leave alone what is younger")
	sweep.Flags().BoolVar(&s.SkipRows, "skip-rows", false, "do not ask the store for the bytes of every object")
	sweep.Flags().Bool("json", false, "print one JSON object for each")
	cmd := &cobra.Command{Use: "storage", Short: "Look after stored objects"}
	cmd.AddCommand(sweep)
	return cmd
}

// target is the madbase that the settings are of, for the commands that manage one.
func target(cmd *cobra.Command) (cli.Target, error) {
	cfg, err := config.Load(config.FromProcess(cmd.Flags()))
	if err != nil {
		return cli.Target{}, err
	}
	return modules.Target(cfg)
}

// command loads the settings and hands them to do.
func command(name, short string, do func(context.Context, *config.Config, modules.Options) error) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(config.FromProcess(cmd.Flags()))
		if err != nil {
			return err
		}
		asJSON, _ := cmd.Flags().GetBool("json") // false where the command has no such flag
		return do(cmd.Context(), cfg, modules.Options{
			Version: version, Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr(), JSON: asJSON,
		})
	}}
}
