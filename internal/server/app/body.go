// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Express's limits.
const (
	DefaultLimit      = 100 << 10 // bytes of content
	DefaultParameters = 1000      // of a form
	DefaultDepth      = 32        // of brackets in an extended form
)

// BodyOptions make body layers. A body layer reads content that it is meant for,
// and calls next with Request.Body set to what it has made of it; content that
// it is not meant for, or that another layer has read, it leaves alone.
type BodyOptions struct {
	// Limit bounds the content, inflated, in bytes; 0 means DefaultLimit.
	Limit int
	// Types are the content types to read, as Request.Is takes them; nil means
	// the layer's own.
	Types []string
	// NoInflate refuses compressed content with 415. Otherwise gzip and
	// deflate are inflated, off the loop.
	NoInflate bool
	// Verify may refuse content, with 403 unless its error has a status.
	Verify func(req *Request, raw []byte) error

	// Any makes JSON take values that are no object and no array.
	Any bool
	// Extended makes Urlencoded read a[b]=c as a form in a form.
	Extended bool
	// Parameters and Depth bound a form; 0 means the default.
	Parameters, Depth int
}

// JSON returns a layer that reads content of type application/json into
// Request.Body and Request.JSON.
func (o BodyOptions) JSON() Layer {
	return o.layer("json", []string{"application/json"}, unicodeOnly, func(req *Request, text string) error {
		if text == "" {
			req.JSON = map[string]any{} // a common mistake of clients
		} else if t := strings.TrimLeft(text, " \t\r\n"); !o.Any && (t == "" || t[0] != '{' && t[0] != '[') {
			return typed(400, "entity.parse.failed", "JSON content is not an object or an array")
		} else if err := json.Unmarshal([]byte(text), &req.JSON); err != nil {
			return &Error{Status: 400, Err: err, Type: "entity.parse.failed"}
		}
		req.Body = req.JSON
		return nil
	})
}

// Text returns a layer that reads content of type text/plain as a string.
func (o BodyOptions) Text() Layer {
	return o.layer("text", []string{"text/plain"}, anyCharset, func(req *Request, text string) error {
		req.Body = text
		return nil
	})
}

// Raw returns a layer that reads content of type application/octet-stream as
// bytes.
func (o BodyOptions) Raw() Layer {
	return o.layer("raw", []string{"application/octet-stream"}, nil, func(req *Request, _ string) error {
		req.Body = req.Raw
		return nil
	})
}

// Urlencoded returns a layer that reads forms of type
// application/x-www-form-urlencoded as a map[string]any, whose values are
// strings, []any where a name comes again, and forms in extended ones.
func (o BodyOptions) Urlencoded() Layer {
	if o.Parameters <= 0 {
		o.Parameters = DefaultParameters
	}
	if o.Depth <= 0 {
		o.Depth = DefaultDepth
	}
	return o.layer("urlencoded", []string{"urlencoded"}, formCharset, func(req *Request, text string) error {
		form, err := o.parseForm(text, req.charset() == latin1)
		if err == nil {
			req.Body = form
		}
		return err
	})
}

// Raw returns a layer that reads content of any type into Request.Raw and
// Request.Body. More than limit bytes are a 413; a limit of 0 means
// DefaultLimit.
func Raw(limit int) Layer { return BodyOptions{Limit: limit, Types: []string{}}.Raw() }

// JSON returns the JSON layer of BodyOptions with a limit.
func JSON(limit int) Layer { return BodyOptions{Limit: limit}.JSON() }

// Text returns the Text layer of BodyOptions with a limit.
func Text(limit int) Layer { return BodyOptions{Limit: limit}.Text() }

// Urlencoded returns the Urlencoded layer of BodyOptions with a limit.
func Urlencoded(limit int) Layer { return BodyOptions{Limit: limit}.Urlencoded() }

// layer makes a layer that drains content of some types, none for any type, and
// has it parsed. charsets says which charsets it takes; nil leaves the bytes as
// they are.
func (o BodyOptions) layer(name string, own []string, charsets func(string) bool, parse func(*Request, string) error) Layer {
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.Types != nil {
		own = o.Types
	}
	return Layer{name: name, kind: stamp.BodyParser, fn: func(req *Request, res *Response, next Next) {
		if req.bodyRead || !req.hasContent() || len(own) > 0 && req.Is(own...) == "" {
			next()
			return
		}
		charset := req.charset()
		if charsets != nil && !charsets(charset) {
			next(typed(415, "charset.unsupported", fmt.Sprintf("unsupported charset %q", strings.ToUpper(charset))))
			return
		}
		coding := lower(req.Header("content-encoding"))
		compressed := coding != "" && coding != "identity"
		if compressed && (o.NoInflate || coding != "gzip" && coding != "deflate") {
			next(typed(415, "encoding.unsupported", fmt.Sprintf("unsupported content encoding %q", coding)))
			return
		}
		// From here on the content is this layer's, whatever comes of it: it can
		// be read only once.
		req.bodyRead = true
		taken := func(b []byte, err error) {
			if err != nil {
				next(contentError(err))
				return
			}
			req.Raw = b
			// No content is content of a type, too: {} for JSON, as in Express.
			if req.Raw == nil {
				req.Raw = []byte{} // there is content: none
			}
			if o.Verify != nil {
				if err := o.Verify(req, req.Raw); err != nil {
					next(verifyError(err))
					return
				}
			}
			// Bytes are not made text for nothing: a copy of 64 MB is one.
			text := ""
			if charsets != nil {
				text = decodeText(charset, req.Raw)
			}
			next(parse(req, text))
		}
		if !compressed {
			req.Collect(o.Limit, taken)
			return
		}
		// What compresses badly gets a little longer by it.
		req.Collect(o.Limit+o.Limit/8+1<<10, func(b []byte, err error) {
			if err != nil {
				taken(nil, err)
				return
			}
			server.Async(res.Response, func() ([]byte, error) { return inflate(coding, b, o.Limit) }, taken)
		})
	}}
}

// contentError gives an error of reading content its status.
func contentError(err error) error {
	if errors.Is(err, server.ErrTooLarge) {
		return &Error{Status: 413, Err: err, Type: "entity.too.large"}
	}
	return &Error{Status: 400, Err: err}
}

func verifyError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Status: 403, Err: err, Type: "entity.verify.failed"}
}

// charset returns the charset of the content in lower case; UTF-8 if it does
// not say.
func (r *Request) charset() string {
	m := parseMedia(r.Header("content-type"))
	if c, ok := m.param("charset"); ok && c != "" {
		return lower(c)
	}
	return "utf-8"
}

// inflate undoes a content coding, up to a limit of what comes out.
func inflate(coding string, b []byte, limit int) ([]byte, error) {
	in, err := inflater(coding, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("inflate %s: %w", coding, err)
	}
	out, err := readUpTo(in, limit)
	if err != nil && !errors.Is(err, server.ErrTooLarge) {
		err = fmt.Errorf("inflate %s: %w", coding, err)
	}
	return out, err
}
