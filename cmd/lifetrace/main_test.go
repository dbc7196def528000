// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/admin"
	"github.com/lifetrace/lifetrace/internal/timeline"
	"github.com/lifetrace/lifetrace/internal/window"
)

// TestMain lets scripts run the command line itself, with a daemon that prints
// its configuration in the place of the real one.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"lifetrace": func() {
			os.Exit(lifetrace(os.Args[1:], deps{run: fakeDaemon, doctor: fakeDoctor}))
		},
	})
}

func fakeDaemon(ctx context.Context, cfg Config, out, errw io.Writer) error {
	if _, err := fmt.Fprintf(out, "%+v\n", cfg); err != nil {
		return err
	}
	switch os.Getenv("DAEMON") {
	case "wait":
		<-ctx.Done()
		return nil
	case "wait-cancel":
		<-ctx.Done()
		return fmt.Errorf("serve: %w", ctx.Err())
	case "preflight":
		return preflightError("no permission to load a probe\nrun as root, or with --probes=off")
	case "fail":
		return errors.New("listen :8080: address already in use")
	}
	_, err := fmt.Fprintln(errw, "stopped")
	return err
}

func fakeDoctor(w io.Writer, asJSON bool) error {
	_, err := fmt.Fprintf(w, "json %v\n", asJSON)
	return err
}

// timelines are what the scripts' daemon holds: id 1 is the oldest.
func timelines() []*timeline.Timeline {
	var all []*timeline.Timeline
	for i, status := range []int{200, 404, 500} {
		t := &timeline.Timeline{Wall: time.Now().Add(-time.Hour).UnixNano(), Duration: int64(3-i) * 1e6, End: "ack"}
		t.ID[15] = byte(i + 1)
		t.Request = timeline.Request{Method: "GET", Target: fmt.Sprintf("/users/4%d", i), Route: "/users/:id", Version: "HTTP/1.1"}
		t.Response.Status = status
		t.Spans = []timeline.Span{{Name: "unknown", Duration: t.Duration}}
		t.Layers[timeline.Unknown] = t.Duration
		all = append(all, t)
	}
	return all
}

func TestScripts(t *testing.T) {
	w := window.New(window.Options{})
	for _, tl := range timelines() {
		w.Add(tl)
	}
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	answer := func(status int, kind, body string) string {
		return serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
	}
	env := map[string]string{
		"ADMIN":     serve(admin.New(admin.Options{Window: w, Metrics: http.NotFoundHandler()})),
		"EMPTY":     serve(admin.New(admin.Options{Window: window.New(window.Options{}), Metrics: http.NotFoundHandler()})),
		"NOT_US":    answer(200, "text/html", "<html>"),
		"CUT":       answer(200, "application/json", `[{"id":`),
		"NOT_ONE":   answer(200, "application/json", `[{"schema": "lifetrace.timeline/v9", "start": 7}]`),
		"CUT_ERROR": answer(500, "application/json", `{"err`),
		"ERROR":     answer(500, "application/json", `{"error": "the window is on fire"}`),
		"NO_COLOR":  "",
		"NOBODY":    unusedAddr(t),
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for name, value := range env {
				e.Setenv(name, value)
			}
			return nil
		},
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
		},
	})
}

// exits runs a program that must end with a code: exits CODE PROGRAM ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		code = e.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// unusedAddr returns an address that refuses connections for as long as the
// test runs: it is bound, so that nobody else gets it, and nobody listens.
func unusedAddr(t *testing.T) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
}

func TestSignals(t *testing.T) {
	for _, tc := range []struct {
		name, daemon string
		sig          os.Signal
		code         int
	}{
		{"a person stops it", "wait", os.Interrupt, codeInterrupted},
		{"a service manager stops it", "wait", syscall.SIGTERM, codeDone},
		{"it is cut short", "wait-cancel", syscall.SIGTERM, codeInterrupted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := exec.Command("lifetrace", "run")
			c.Env = append(os.Environ(), "DAEMON="+tc.daemon)
			var errw strings.Builder
			c.Stderr = &errw
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			// Its first line says that the signals are handled.
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if err := c.Process.Signal(tc.sig); err != nil {
				t.Fatal(err)
			}
			err = c.Wait()
			if got := c.ProcessState.ExitCode(); got != tc.code || errw.Len() > 0 {
				t.Errorf("exit code %d (%v), stderr %q; want %d and nothing", got, err, errw.String(), tc.code)
			}
		})
	}
}
