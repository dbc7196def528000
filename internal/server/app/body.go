// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// DefaultLimit is Express's limit of content in bytes.
const DefaultLimit = 100 << 10

// Raw returns a layer that reads the content into Request.Raw before it calls
// next. More than limit bytes are a 413; a limit of 0 means DefaultLimit.
func Raw(limit int) Layer {
	return bodyLayer("raw", limit, func(*Request) bool { return true }, func(*Request) error { return nil })
}

// JSON returns a layer that reads content of type application/json into
// Request.Raw and Request.JSON before it calls next. As in Express only an
// object or an array is taken, and content of another type is left alone.
func JSON(limit int) Layer {
	return bodyLayer("json", limit, isJSON, func(req *Request) error {
		b := bytes.TrimLeft(req.Raw, " \t\r\n")
		if len(b) == 0 {
			return nil // nothing was sent
		}
		if b[0] != '{' && b[0] != '[' {
			return NewError(400, "JSON content is not an object or an array")
		}
		if err := json.Unmarshal(b, &req.JSON); err != nil {
			return &Error{400, err}
		}
		return nil
	})
}

func isJSON(req *Request) bool {
	t, _, _ := strings.Cut(req.Header("content-type"), ";")
	return strings.EqualFold(strings.TrimSpace(t), "application/json")
}

// bodyLayer drains content that wanted asks for, and then has it parsed.
func bodyLayer(name string, limit int, wanted func(*Request) bool, parse func(*Request) error) Layer {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return Layer{name: name, kind: stamp.BodyParser, fn: func(req *Request, _ *Response, next Next) {
		if req.Raw != nil || !req.HasContent() || !wanted(req) {
			next()
			return
		}
		if e := req.HeaderBytes("content-encoding"); e != nil && !strings.EqualFold(string(e), "identity") {
			next(NewError(415, "unsupported content encoding"))
			return
		}
		req.Collect(limit, func(b []byte, err error) {
			switch {
			case errors.Is(err, server.ErrTooLarge):
				err = &Error{413, err}
			case err == nil:
				req.Raw = b
				err = parse(req)
			}
			next(err)
		})
	}}
}
