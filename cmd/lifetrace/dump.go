// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lifetrace/lifetrace/internal/timeline"
	"github.com/lifetrace/lifetrace/internal/window"
)

func newDumpCommand() *cobra.Command {
	format, admin, noColor := "text", "", false
	c := &cobra.Command{
		Use:   "dump [ID...]",
		Short: "Print timelines",
		Long: `Prints timelines that a running daemon holds: those with the given ids, or those
that the flags select. Without either it prints the last one. With filters but
neither --last nor --slowest it prints all that match.

Timelines come in the order in which they ended, the newest last; with --slowest
the slowest first. When none matches, it says so on stderr and exits with 0.`,
		Example: `  lifetrace dump --last 1
  lifetrace dump --slowest 5 --route /users/:id
  lifetrace dump --status 5xx --since 5m -o jsonl`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, ids []string) error {
			write, err := timelineWriter(format, noColor)
			if err != nil {
				return err
			}
			q, err := selection(c, ids)
			if err != nil {
				return err
			}
			if admin == "" {
				admin = defaultAdmin
				if v, ok := os.LookupEnv(envName("admin")); ok {
					admin = v
				}
			}
			client, err := newAdminClient(admin)
			if err != nil {
				return err
			}
			found, err := fetch(c.Context(), client, ids, q)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				c.PrintErrln("lifetrace: no timeline matches; the daemon has one as soon as a request has ended")
			}
			return write(c.OutOrStdout(), found)
		},
	}
	f := c.Flags()
	f.String("last", "", "print the `N` most recent, or 'all' (default 1)")
	f.String("slowest", "", "print the `N` slowest")
	f.String("route", "", "only this `ROUTE`, such as /users/:id, or unmatched")
	f.String("status", "", "only this `STATUS`, such as 404 or 5xx, or a list of them")
	f.String("min-duration", "", "only those that took at least `DURATION`")
	f.String("since", "", "only those that began after `WHEN`: 5m ago, or an RFC 3339 time")
	f.StringVarP(&format, "output", "o", format, "`FORMAT`: text, json (an array) or jsonl (one a line)")
	f.StringVar(&admin, "admin", "", "`ADDR` or URL of the daemon's admin endpoint (default "+defaultAdmin+")")
	f.BoolVar(&noColor, "no-color", false, "no colour, not even on a terminal")
	return c
}

// selection turns the flags into the admin endpoint's parameters. It checks
// them here, where a mistake can be called by its flag's name.
func selection(c *cobra.Command, ids []string) (url.Values, error) {
	q := url.Values{}
	for _, param := range window.Params() {
		if f := c.Flags().Lookup(flagName(param)); f.Changed {
			q.Set(param, f.Value.String())
		}
	}
	if len(ids) > 0 {
		for _, id := range ids {
			if _, err := timeline.ParseID(id); err != nil {
				return nil, usageError("%q is not a timeline's id: %w", id, err)
			}
		}
		if len(q) > 0 {
			return nil, usageError("ids and filters cannot go together: give one or the other")
		}
		return nil, nil
	}
	if _, err := window.ParseFilter(q, time.Now()); err != nil {
		var p *window.ParamError
		if errors.As(err, &p) {
			return nil, usageError("--%s: %s", flagName(p.Name), p.Reason)
		}
		return nil, err
	}
	switch {
	case len(q) == 0:
		q.Set("last", "1")
	case !q.Has("last") && !q.Has("slowest"):
		q.Set("last", window.All)
	}
	return q, nil
}

func flagName(param string) string { return strings.ReplaceAll(param, "_", "-") }

// fetch gets the timelines as the daemon wrote them, so that the JSON forms
// pass on what a newer daemon says.
func fetch(ctx context.Context, client *adminClient, ids []string, q url.Values) ([]json.RawMessage, error) {
	if len(ids) == 0 {
		var all []json.RawMessage
		err := client.get(ctx, "/api/v1/timelines", q, &all)
		return all, err
	}
	all := make([]json.RawMessage, len(ids))
	for i, id := range ids {
		if err := client.get(ctx, "/api/v1/timelines/"+id, nil, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// timelineWriter returns what writes timelines in a format.
func timelineWriter(format string, noColor bool) (func(io.Writer, []json.RawMessage) error, error) {
	switch format {
	case "text":
		return func(w io.Writer, all []json.RawMessage) error {
			return writeTexts(w, all, textOptions(w, noColor))
		}, nil
	case "json":
		return writeArray, nil
	case "jsonl":
		return writeLines, nil
	}
	return nil, usageError("--output: %q is not one of text, json, jsonl", format)
}

// textOptions fits the text to a terminal. What is not a terminal gets neither
// colour nor a width of its own.
func textOptions(w io.Writer, noColor bool) timeline.TextOptions {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return timeline.TextOptions{}
	}
	o := timeline.TextOptions{Color: !noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		o.Width = width
	}
	return o
}

func writeTexts(w io.Writer, all []json.RawMessage, o timeline.TextOptions) error {
	for i, raw := range all {
		var t timeline.Timeline
		if err := json.Unmarshal(raw, &t); err != nil {
			return fmt.Errorf("read the daemon's answer: %w; -o json prints it as it is", err)
		}
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return fmt.Errorf("write timelines: %w", err)
			}
		}
		if err := timeline.WriteText(w, &t, o); err != nil {
			return fmt.Errorf("write timelines: %w", err)
		}
	}
	return nil
}

func writeArray(w io.Writer, all []json.RawMessage) error {
	if all == nil {
		all = []json.RawMessage{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("write timelines: %w", err)
	}
	return nil
}

func writeLines(w io.Writer, all []json.RawMessage) error {
	var b bytes.Buffer
	for _, raw := range all {
		b.Reset()
		if err := json.Compact(&b, raw); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		b.WriteByte('\n')
		if _, err := w.Write(b.Bytes()); err != nil {
			return fmt.Errorf("write timelines: %w", err)
		}
	}
	return nil
}
