// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/lifetrace/lifetrace/internal/server/http1"
)

// Dotfiles says what is done with files and directories whose name begins with
// a dot.
type Dotfiles uint8

// The choices.
const (
	IgnoreDotfiles Dotfiles = iota // as if they were not there
	DenyDotfiles                   // 403
	AllowDotfiles                  // as others
)

// FileOptions say how files are sent.
type FileOptions struct {
	Dotfiles Dotfiles
	// MaxAge and Immutable are told caches, in whole seconds.
	MaxAge    time.Duration
	Immutable bool
}

// StaticOptions say how Static serves files. The zero value is Express's.
type StaticOptions struct {
	FileOptions
	// Index is the file that answers for a directory; "" is index.html, and
	// "-" is none.
	Index string
	// Extensions are tried, in order, for a path without one.
	Extensions []string
	// NoRedirect answers 404 for a directory without a slash at the end, in
	// place of a redirect.
	NoRedirect bool
	// Final answers errors itself: it does not leave to the next layer what it
	// does not find.
	Final bool
}

// Static returns a layer that serves the files below a directory, with weak
// entity tags, ranges and conditions. Files are opened and read off the loop, a
// piece at a time as the client takes them. Symbolic links are followed.
func Static(root string, o StaticOptions) Layer {
	if o.Index == "" {
		o.Index = "index.html"
	}
	return Named("serveStatic", func(req *Request, res *Response, next Next) {
		if m := req.MethodCode(); m != http1.GET && m != http1.HEAD {
			if !o.Final {
				next()
				return
			}
			res.SetHeader("Allow", "GET, HEAD")
			res.SetHeader("Content-Length", "0")
			res.Status(405).End(nil)
			return
		}
		// A file that is not there may be another layer's route.
		missed := func(err error) {
			if !o.Final && statusBelow500(err) {
				err = nil
			}
			next(err)
		}
		asked, original := req.Path(), string(req.Request.PathBytes())
		if asked == "/" && !strings.HasSuffix(original, "/") {
			asked = "" // what it is mounted at is a directory: redirect there
		}
		name, err := below(asked, o.Dotfiles)
		if err != nil {
			missed(err)
			return
		}
		directory := strings.HasSuffix(asked, "/")
		// What is there is found out off the loop: a look at a disk may take
		// as long as it likes.
		tries := []string{path.Join(root, name)}
		switch {
		case directory && o.Index == "-":
			missed(NewError(404, "Not Found"))
			return
		case directory:
			tries[0] = path.Join(tries[0], o.Index)
		case path.Ext(name) == "":
			for _, ext := range o.Extensions {
				tries = append(tries, tries[0]+"."+ext)
			}
		}
		open(res, tries, func(f *openFile, err error) {
			switch {
			case err != nil:
				missed(fileError(err))
			case f.isDir && (directory || o.NoRedirect):
				missed(NewError(404, "Not Found"))
			case f.isDir:
				res.toDirectory(original + "/")
			default:
				if err := res.sendOpen(f, o.FileOptions); err != nil {
					next(err) // the file is there: it is nobody else's
				}
			}
		})
	})
}

// toDirectory redirects to a path with a slash at its end. Two at its beginning
// would be another host.
func (r *Response) toDirectory(p string) {
	if trimmed := strings.TrimLeft(p, "/"); len(p)-len(trimmed) > 1 {
		p = "/" + trimmed
	}
	p = encodeURL(p) // the query goes along, for what answers there
	if q := r.req.Request.QueryBytes(); len(q) > 0 {
		p += "?" + encodeURL(string(q))
	}
	r.SetStatus(301)
	page := document("Redirecting", "Redirecting to "+escapeHTML(p))
	r.SetHeader("Content-Type", "text/html; charset=UTF-8")
	r.SetHeader("Content-Length", strconv.Itoa(len(page)))
	r.SetHeader("Content-Security-Policy", "default-src 'none'")
	r.SetHeader("X-Content-Type-Options", "nosniff")
	r.SetHeader("Location", p)
	r.End(page)
}

// below turns what a client asks for into a name below a root, or says why not.
func below(asked string, dot Dotfiles) (string, error) {
	name, err := url.PathUnescape(asked)
	if err != nil || !decodable([]byte(asked)) || strings.Contains(name, "\x00") {
		return "", NewError(400, "Bad Request")
	}
	// After this .. can only be at the front, where it leads out of the root.
	name = path.Clean("./" + name)
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return "", NewError(403, "Forbidden")
		case len(part) < 2 || part[0] != '.' || dot == AllowDotfiles:
		case dot == DenyDotfiles:
			return "", NewError(403, "Forbidden")
		default:
			return "", NewError(404, "Not Found")
		}
	}
	return name, nil
}
