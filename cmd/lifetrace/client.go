// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// defaultAdmin is where the admin endpoint listens and is looked for.
const defaultAdmin = "127.0.0.1:9190"

// adminClient asks a running daemon.
type adminClient struct {
	base *url.URL
	http *http.Client
}

// newAdminClient takes what --admin takes: an address as run's --admin, or a
// URL.
func newAdminClient(admin string) (*adminClient, error) {
	text := admin
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Port() == "" && !strings.Contains(admin, "://") ||
		u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError("--admin: %q is not an address such as %s, nor a URL", admin, defaultAdmin)
	}
	// An address to listen on may mean every address; one to ask cannot.
	if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "" || err == nil && a.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return &adminClient{base: u, http: &http.Client{Transport: &http.Transport{
		// No proxy: the daemon is on this host or named by the user.
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		ResponseHeaderTimeout: 30 * time.Second,
		DisableKeepAlives:     true,
	}}}, nil
}

// get reads the JSON at a path into v.
func (c *adminClient) get(ctx context.Context, path string, q url.Values, v any) error {
	u := c.base.JoinPath(path)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no daemon listens at %s; start one with 'sudo lifetrace run', or say where it is with --admin", u.Host)
	case err != nil:
		return fmt.Errorf("ask the daemon: %w", err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		return fmt.Errorf("what answers at %s is not lifetrace's admin endpoint (%s, %q); say where that is with --admin", u.Host, resp.Status, ct)
	}
	if resp.StatusCode != http.StatusOK {
		var e struct{ Error string }
		if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&e); err != nil {
			return fmt.Errorf("the daemon answered %s: %w", resp.Status, err)
		}
		return errors.New(e.Error)
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}
