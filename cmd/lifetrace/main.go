// SPDX-License-Identifier: Apache-2.0

// Command lifetrace shows where the time of one HTTP request went, from the
// client's SYN to the client's ACK of the last response byte.
//
// This package is the only place that wires the parts together: every command
// is a file, config.go is what they can be told, errors.go what they exit with.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is the release; the Makefile sets it at link time.
var version = "devel"

func main() {
	os.Exit(lifetrace(os.Args[1:], deps{run: runDaemon, doctor: runDoctor}))
}

// lifetrace runs one command line and returns its exit code.
func lifetrace(args []string, d deps) int {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	root := newRoot(d)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(err, context.Cause(ctx))
	if err != nil && code != codeInterrupted {
		fmt.Fprintln(os.Stderr, "lifetrace: "+oneLine(err.Error()))
	}
	return code
}

// signalled is why a context ended: a signal asked for it.
type signalled struct{ sig os.Signal }

func (s signalled) Error() string { return s.sig.String() }

// untilSignal returns a context that the first SIGINT or SIGTERM ends. After
// that one the signals have their default effect again, so that a second one
// ends a process that does not stop by itself.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case sig := <-ch:
			signal.Stop(ch)
			cancel(signalled{sig})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		cancel(nil)
	}
}
