// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// deps are the parts that the commands start, so that the command line can be
// tested without them.
type deps struct {
	run    func(ctx context.Context, cfg Config, out, errw io.Writer) error
	doctor func(w io.Writer, asJSON bool) error
}

func newRoot(d deps) *cobra.Command {
	root := &cobra.Command{
		Use:   "lifetrace",
		Short: "Shows where the time of one HTTP request went",
		Long: `lifetrace shows where the time of one HTTP request went, from the client's SYN
to the client's ACK of the last response byte, on one clock, through every
layer: kernel, loop, parser, code, stream, network.

  sudo lifetrace run                      # the daemon, with its demo application
  curl http://localhost:8080/users/42     # any request
  lifetrace dump --last 1                 # that very request, floor to ceiling

Exit codes: 0 done, 1 failure, 2 usage, 3 preflight failed, 130 interrupted.`,
		Version: buildVersion(),
		Args:    cobra.ArbitraryArgs, // so that RunE can say it in our words
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%w; see '%s --help'", err, c.CommandPath())
	})
	root.AddCommand(
		newRunCommand(d),
		newDumpCommand(),
		newDoctorCommand(d),
		newVersionCommand(),
		newManCommand(),
	)
	root.SetHelpCommand(newHelpCommand())
	root.InitDefaultCompletionCmd()
	checkUsage(root)
	return root
}

// checkUsage makes wrong arguments a usage error in a command and all below it,
// those that cobra made included. Cobra does not look at the arguments of a
// command that only groups others, unless it can be run.
func checkUsage(c *cobra.Command) {
	if !c.Runnable() {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError("%w; see '%s --help'", err, c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		checkUsage(sub)
	}
}

func unknownCommand(c *cobra.Command, name string) error {
	hint := ""
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(name); len(near) > 0 {
		hint = fmt.Sprintf(", did you mean %q?", near[0])
	}
	return usageError("unknown command %q%s; see 'lifetrace --help'", name, hint)
}

// newHelpCommand replaces cobra's, which takes an unknown topic for a success.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		RunE: func(c *cobra.Command, args []string) error {
			target, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(c.Root(), args[0])
			}
			return target.Help()
		},
	}
}

func newDoctorCommand(d deps) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host can trace, what is missing, and how to get it",
		Long: `Loads and attaches every probe on this host and says what each step of a
timeline can be had from, what is missing, what that costs, and how to fix it.
Nothing stays attached.

Exits with 3 when the main job cannot run here.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return d.doctor(c.OutOrStdout(), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return c
}
