// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/spf13/cobra"
)

func newRunCommand(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon: probes, server, admin endpoint",
		Long: `Runs the daemon in the foreground: it attaches the probes, serves an
application, joins what both saw into timelines, and shows them at the admin
endpoint. Tracing needs root, or CAP_BPF and CAP_PERFMON; with --probes=off it
runs without, and every kernel span is shown as unsupported.

Each flag can also be set in the environment (LIFETRACE_LISTEN for --listen) and
in the file that --config names (listen: ":8080"). A flag goes before the
environment, the environment before the file.

SIGINT or SIGTERM stops it: it answers what it has begun, then exits.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			return d.run(c.Context(), cfg, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	addConfigFlags(c)
	return c
}
