// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lifetrace/lifetrace/internal/server/app"
)

// exchange is a request and what Express 5.3 on Node 20 answered in production
// mode; Date and the fields of the connection are left out.
type exchange struct {
	App, Method, Target string
	Header              []string
	Content             []byte // nil: none
	Packed              []byte // the same with gzip
	Answer              answer
}

type answer struct {
	Status int
	Header []string
	Body   string
}

// TestExpress compares the twin's answers, field by field in their order, with
// those that Express gave.
func TestExpress(t *testing.T) {
	b, err := os.ReadFile("testdata/express.json")
	if err != nil {
		t.Fatal(err)
	}
	var exchanges []exchange
	if err := json.Unmarshal(b, &exchanges); err != nil {
		t.Fatal(err)
	}
	proxy := app.NewWith(app.Settings{Production: true, TrustProxy: app.TrustNets("loopback", "10.0.0.0/8")})
	proxy.Get("/t", whence)
	proxy.Use(app.Static(files(t), app.StaticOptions{}))
	apps := map[string]*running{"app": run(t, twin(t)), "proxy": run(t, proxy)}
	for i, x := range exchanges {
		name := strings.Join(append([]string{x.Method, x.Target}, x.Header...), " | ")
		got := apps[x.App].ask(t, &x)
		same := got.Status == x.Answer.Status && got.Body == x.Answer.Body && slices.Equal(got.Header, x.Answer.Header)
		if same {
			continue
		}
		t.Errorf("%d %s %.60q\n got %d %q %.300q\nwant %d %q %.300q", i, name, x.Content,
			got.Status, got.Header, got.Body, x.Answer.Status, x.Answer.Header, x.Answer.Body)
	}
}

// ask sends a request as it was recorded, on a connection of its own.
func (r *running) ask(t *testing.T, x *exchange) answer {
	t.Helper()
	if x.Packed != nil {
		z, err := gzip.NewReader(bytes.NewReader(x.Packed))
		if err != nil {
			t.Fatal(err)
		}
		if x.Content, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	header := slices.Clone(x.Header)
	if !slices.ContainsFunc(header, func(f string) bool { return strings.HasPrefix(f, "Host:") }) {
		header = append(header, "Host: h.example")
	}
	if x.Content != nil {
		header = append(header, fmt.Sprintf("Content-Length: %d", len(x.Content)))
	}
	c := dial(t, strings.TrimPrefix(r.url, "http://"))
	head := x.Method + " " + x.Target + " HTTP/1.1\r\n" + strings.Join(append(header, "Connection: close"), "\r\n") + "\r\n\r\n"
	if _, err := c.Write(append([]byte(head), x.Content...)); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%s %s: %v", x.Method, x.Target, err)
	}
	_ = c.Close()
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: x.Method})
	if err != nil {
		t.Fatalf("%s %s: %v in %q", x.Method, x.Target, err, raw)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	got := answer{Status: res.StatusCode, Header: []string{}, Body: strings.ToValidUTF8(string(body), "\ufffd")}
	if len([]rune(got.Body)) > 2000 {
		sum := sha256.Sum256([]byte(got.Body))
		got.Body = "sha256 " + hex.EncodeToString(sum[:])
	}
	fields, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	for _, f := range strings.Split(fields, "\r\n")[1:] {
		switch name, _, _ := strings.Cut(f, ":"); name {
		case "Date", "Connection", "Keep-Alive":
		default:
			got.Header = append(got.Header, f)
		}
	}
	return got
}
