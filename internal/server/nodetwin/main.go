// SPDX-License-Identifier: Apache-2.0

// Command nodetwin is a small application of Node's http module
// (conformance/node/app.js), handler by handler on this project's server, so
// that what the two answer can be compared byte by byte.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/lifetrace/lifetrace/internal/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "nodetwin:", err)
		os.Exit(1)
	}
}

// serve serves until ctx is done.
func serve(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("nodetwin", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8080", "`host:port` to listen on")
	upgrade := flags.Bool("upgrade", os.Getenv("UPGRADE") != "", "listen for 'upgrade'; the environment's UPGRADE says so too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := server.New(options(*listen, *upgrade))
	if err != nil {
		return err
	}
	return s.Run(ctx)
}
