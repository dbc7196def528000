// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// The exit codes that users hold on to.
const (
	codeDone        = 0
	codeFailure     = 1
	codeUsage       = 2
	codePreflight   = 3
	codeInterrupted = 130
)

// exitError is an error with an exit code of its own. Any other error exits
// with codeFailure.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageError is for what the user typed or configured and must change.
func usageError(format string, args ...any) error {
	return &exitError{codeUsage, fmt.Errorf(format, args...)}
}

// preflightError is for what this host lacks.
func preflightError(format string, args ...any) error {
	return &exitError{codePreflight, fmt.Errorf(format, args...)}
}

// exitCode returns the code for a command's error, given why its context
// ended, nil if it did not. SIGTERM is how a service is told to stop: a
// command that then stops without an error is done. SIGINT is a person's.
func exitCode(err, cause error) int {
	var s signalled
	stopped := errors.As(cause, &s)
	var e *exitError
	switch {
	case err == nil && stopped && s.sig == syscall.SIGINT:
		return codeInterrupted
	case err == nil:
		return codeDone
	case stopped && (errors.Is(err, context.Canceled) || errors.Is(err, s)):
		return codeInterrupted
	case errors.As(err, &e):
		return e.code
	}
	return codeFailure
}

// oneLine joins the lines of a message, so that one error is one line in a log.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
