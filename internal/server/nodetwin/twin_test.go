// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
)

const (
	// patience bounds what has to happen at all.
	patience = 20 * time.Second
	// silence is how long a connection that stays open is watched.
	silence = 300 * time.Millisecond
	// document has the table of the differences.
	document = "../../../docs/conformance.md"
)

// exchange is what a client does on a connection, and what Node 20 answered.
type exchange struct {
	Name    string
	Upgrade bool // with a listener for 'upgrade'
	Steps   []struct {
		Send          string
		SendBase64    []byte `json:"send_base64"`
		SleepMS       int    `json:"sleep_ms"`
		ShutdownWrite bool   `json:"shutdown_write"`
	}
	Want       string
	WantBase64 []byte `json:"want_base64"`
	Then       string // open or closed
}

func load(t *testing.T, file string) []exchange {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var exchanges []exchange
	if err := json.Unmarshal(b, &exchanges); err != nil {
		t.Fatal(err)
	}
	if len(exchanges) == 0 {
		t.Fatalf("%s has no exchanges", file)
	}
	for i := range exchanges {
		e := &exchanges[i]
		e.Want += string(e.WantBase64)
	}
	return exchanges
}

// conformance is the directory of the public data. Without it the test is
// skipped, unless LIFETRACE_REQUIRE_CONFORMANCE=1 says that it has to be there.
func conformance(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LIFETRACE_CONFORMANCE")
	if dir == "" {
		dir = "../../../../shared/conformance"
	}
	dir = filepath.Join(dir, "node")
	if _, err := os.Stat(dir); err != nil {
		text := fmt.Sprintf("no conformance data (set LIFETRACE_CONFORMANCE to its directory): %v", err)
		if os.Getenv("LIFETRACE_REQUIRE_CONFORMANCE") == "1" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	return dir
}

var (
	sectionHead = regexp.MustCompile(`(?m)^## Node twin$`)
	nextSection = regexp.MustCompile(`(?m)^## `)
	quoted      = regexp.MustCompile("`([^`]+)`")
)

// differences reads the names in the first column of the section's table.
func differences(document string) (names []string) {
	at := sectionHead.FindStringIndex(document)
	if at == nil {
		return nil
	}
	section := document[at[1]:]
	if end := nextSection.FindStringIndex(section); end != nil {
		section = section[:end[0]]
	}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.TrimSpace(cells[4]) == "" {
			continue // no row of three columns with a reason
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			names = append(names, m[1])
		}
	}
	return names
}

func listed(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	names := differences(string(b))
	if len(names) == 0 {
		t.Fatalf("%s lists no difference", document)
	}
	return names
}

func TestDifferences(t *testing.T) {
	const doc = "## A\n| `no` | a | b | c |\n## Node twin\n\n| exchange | Node 20 | here | why |\n|---|---|---|---|\n" +
		"| `a b`, `c` | x | y | z |\n| `without a reason` | x | y | |\n\n## B\n| `no` | a | b | c |\n"
	if got := differences(doc); !slices.Equal(got, []string{"a b", "c"}) {
		t.Errorf("%q", got)
	}
	if got := differences("# Nothing\n"); got != nil {
		t.Errorf("%q", got)
	}
}

var dateField = regexp.MustCompile(`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n`)

// run plays an exchange against addr. It returns what was received, the Date
// taken out, and whether the connection is open or closed then. As long as
// what comes may still become what is wanted it waits for that.
func run(e *exchange, addr string) (got, then string, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", "", err
	}
	for _, s := range e.Steps {
		time.Sleep(time.Duration(s.SleepMS) * time.Millisecond)
		if s.ShutdownWrite {
			err = c.(*net.TCPConn).CloseWrite()
		} else if b := append([]byte(s.Send), s.SendBase64...); len(b) > 0 {
			_, err = c.Write(b)
		}
		if err != nil {
			break // it was refused before it was all sent: what was answered counts
		}
	}
	var in bytes.Buffer
	b := make([]byte, 64<<10)
	for {
		got = dateField.ReplaceAllString(in.String(), "Date: <date>\r\n")
		wait := silence
		if strings.HasPrefix(e.Want, got) && (got != e.Want || e.Then == "closed") {
			wait = patience
		}
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return got, "", err
		}
		n, err := c.Read(b)
		in.Write(b[:n])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return got, "open", nil
		case err != nil: // EOF, or a reset
			return got, "closed", nil
		}
	}
}

// verify runs exchanges against addr, many at a time as most of them are spent
// waiting: the listed ones have to differ from what is wanted, the others have
// not.
func verify(t *testing.T, exchanges []exchange, upgrade bool, addr string, listed []string) {
	t.Helper()
	var wg sync.WaitGroup
	places := make(chan struct{}, 32)
	for i := range exchanges {
		e := &exchanges[i]
		if e.Upgrade != upgrade {
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			got, then, err := run(e, addr)
			same := got == e.Want && then == e.Then
			switch {
			case err != nil:
				t.Errorf("%s: %v", e.Name, err)
			case slices.Contains(listed, e.Name):
				if same {
					t.Errorf("%s: %s lists a difference, and there is none", e.Name, document)
				}
			case !same:
				t.Errorf("%s:\ngot, then %s\n%q\nwant, then %s\n%q", e.Name, then, got, e.Then, e.Want)
			}
		})
	}
	wg.Wait()
}

// twin starts the application.
func twin(t *testing.T, upgrade bool) string {
	t.Helper()
	o := options("127.0.0.1:0", upgrade)
	o.ErrorLog = func(err error) { t.Errorf("server: %v", err) }
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

// The public exchanges.
func TestConformance(t *testing.T) {
	exchanges := load(t, filepath.Join(conformance(t), "exchanges.json"))
	verify(t, exchanges, false, twin(t, false), listed(t))
}

// Exchanges of our own, recorded from Node 20.20.2 with the same application.
func TestRecorded(t *testing.T) {
	exchanges := load(t, "testdata/exchanges.json")
	names := listed(t)
	for _, n := range names {
		if !slices.ContainsFunc(exchanges, func(e exchange) bool { return e.Name == n }) {
			t.Errorf("%s lists %q, which is no recorded exchange", document, n)
		}
	}
	for _, upgrade := range []bool{false, true} {
		t.Run(fmt.Sprintf("upgrade=%v", upgrade), func(t *testing.T) {
			verify(t, exchanges, upgrade, twin(t, upgrade), names)
		})
	}
}

// What was recorded is what Node 20 answers. It checks the recording, not this
// server, and so it is run on demand.
func TestRecordedFromNode(t *testing.T) {
	if os.Getenv("LIFETRACE_NODE") != "1" {
		t.Skip("LIFETRACE_NODE=1 plays the recorded exchanges against node")
	}
	version, err := exec.Command("node", "--version").Output()
	if err != nil || !strings.HasPrefix(string(version), "v20.") {
		t.Fatalf("want Node 20: %s %v", version, err)
	}
	app := filepath.Join(conformance(t), "app.js")
	exchanges := load(t, "testdata/exchanges.json")
	for _, upgrade := range []bool{false, true} {
		t.Run(fmt.Sprintf("upgrade=%v", upgrade), func(t *testing.T) {
			verify(t, exchanges, upgrade, node(t, app, upgrade), nil)
		})
	}
}

// node starts the application on Node and waits until it listens.
func node(t *testing.T, app string, upgrade bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", app, port)
	cmd.Stderr = os.Stderr
	if upgrade {
		cmd.Env = append(os.Environ(), "UPGRADE=1")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// The command itself.
func TestServe(t *testing.T) {
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = used.Close() }()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-listen", used.Addr().String()}, "address already in use"},
		{[]string{"-nonsense"}, "not defined"},
	} {
		if err := serve(t.Context(), tt.args, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.args, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := serve(ctx, []string{"-listen", "127.0.0.1:0", "-upgrade"}, io.Discard); err != nil {
		t.Error(err)
	}
}
