// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/server/app"
)

// bigFile is more than sockets buffer.
const bigFile = 64 << 20

func writeBig(t *testing.T) (dir string, content []byte) {
	t.Helper()
	content = bytes.Repeat([]byte("0123456789abcde\n"), bigFile/16)
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, content
}

// holds reports whether this process has a file open.
func holds(t *testing.T, name string) bool {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && to == name {
			return true
		}
	}
	return false
}

// until waits for something that has to come about.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func TestBigFileWholeAndAborted(t *testing.T) {
	dir, content := writeBig(t)
	name := filepath.Join(dir, "big")
	a := app.New()
	a.Use(app.Static(dir, app.StaticOptions{}))
	r := run(t, a)
	res, err := http.Get(r.url + "/big")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	until(t, "closed after it was sent", func() bool { return !holds(t, name) })

	c := begin(t, r, "/big")
	if !holds(t, name) {
		t.Error("not open while it is sent: the file is too small for this test")
	}
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	until(t, "closed after the client has gone", func() bool { return !holds(t, name) })
}

// begin asks for a file and reads only the beginning of the answer.
func begin(t *testing.T, r *running, path string) net.Conn {
	t.Helper()
	c := dial(t, strings.TrimPrefix(r.url, "http://"))
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1<<10)); err != nil {
		t.Fatal(err)
	}
	return c
}

// A file that shrinks while it is sent cannot be completed, and the client must
// not believe it is.
func TestShrinkingFile(t *testing.T) {
	dir, _ := writeBig(t)
	a := app.New()
	a.Use(app.Static(dir, app.StaticOptions{}))
	r := run(t, a)
	c := begin(t, r, "/big")
	if err := os.Truncate(filepath.Join(dir, "big"), 1); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, c); err != nil || n >= bigFile {
		t.Errorf("%d bytes, %v; want fewer, and the end of the connection", n, err)
	}
}

func TestUnusualFiles(t *testing.T) {
	dir := files(t)
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.txt", filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	a := app.New()
	a.OnError(func(err error) { told <- err })
	a.Get("/nul", func(_ *app.Request, res *app.Response) { res.SendFile("a\x00b", app.FileOptions{}) })
	a.Get("/own", func(_ *app.Request, res *app.Response) { res.Download(filepath.Join(dir, "a.txt"), "") })
	a.Use("/preset", func(_ *app.Request, res *app.Response, next app.Next) {
		res.Set("ETag", `"own"`).Set("Content-Type", "text/css").Set("Cache-Control", "no-store")
		next()
	})
	a.Use(app.Static(dir, app.StaticOptions{}))
	a.Use("/preset", app.Static(dir, app.StaticOptions{}))
	r := run(t, a)
	for path, want := range map[string]int{
		"/pipe": 404, "/loop": 500, "/link.txt": 200, "/nul": 400, "/own": 200,
		"/" + strings.Repeat("x", 300): 404, "/preset/a.txt": 200,
	} {
		status, _, h := r.do("GET", path, "")
		if status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
		if path == "/own" && h.Get("Content-Disposition") != `attachment; filename="a.txt"` {
			t.Errorf("%v", h)
		}
		if path == "/preset/a.txt" && (h.Get("ETag") != `"own"` || h.Get("Content-Type") != "text/css; charset=utf-8" || h.Get("Cache-Control") != "no-store") {
			t.Errorf("%v", h)
		}
	}
	if err := <-told; !errors.Is(err, unix.ELOOP) {
		t.Errorf("told %v", err)
	}
}
