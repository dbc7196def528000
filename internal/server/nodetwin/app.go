// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/http1"
)

// maxContent bounds what /echo and /trailers-in keep; Node's handlers know no
// bound.
const maxContent = 64 << 20

// options are Node's ways where the server leaves a choice.
func options(listen string, upgrade bool) server.Options {
	o := server.Options{
		Listen:      listen,
		Handler:     server.HandlerFunc(handle),
		ClientError: clientError,
		// Node bounds the head alone, neither the target nor how many fields.
		Limits: http1.Limits{Target: 16 << 10, Fields: 16 << 10},
		// Without a listener for 'connect' Node drops the connection.
		Connect: func(_ *server.Request, sock *server.Socket, _ []byte) { sock.Destroy() },
	}
	if upgrade {
		o.Upgrade = func(_ *server.Request, sock *server.Socket, head []byte) {
			const answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n"
			sock.End([]byte(answer + utf8Text(head)))
		}
	}
	return o
}

// clientError is what Node does without a listener for 'clientError': it tells
// no more than two errors apart.
func clientError(err *http1.Error) int {
	switch err.Code {
	case http1.HeaderOverflow, http1.URLOverflow:
		return 431
	case http1.ChunkExtensionsOverflow:
		return 413
	}
	return 400
}

// handle is the application.
func handle(req *server.Request, res *server.Response) {
	path, _, _ := strings.Cut(req.Target(), "?")
	if h := routes[path]; h != nil {
		h(req, res)
		return
	}
	res.SetStatus(404)
	end(res, "nope")
}

var routes = map[string]func(req *server.Request, res *server.Response){
	"/hello": func(_ *server.Request, res *server.Response) { end(res, "hello") },
	"/json": func(_ *server.Request, res *server.Response) {
		const b = `{"ok":true}`
		res.WriteHead(200, server.Field{Name: "Content-Type", Value: "application/json"}, length(b))
		end(res, b)
	},
	"/chunked": func(_ *server.Request, res *server.Response) {
		res.Write([]byte("a"))
		res.Write([]byte("bb"))
		end(res, "ccc")
	},
	"/chunked-later": func(_ *server.Request, res *server.Response) {
		res.Write([]byte("a"))
		res.SetTimeout(20*time.Millisecond, func() { end(res, "b") })
	},
	"/empty": func(_ *server.Request, res *server.Response) { res.End(nil) },
	"/204": func(_ *server.Request, res *server.Response) {
		res.SetStatus(204)
		end(res, "ignored")
	},
	"/304": func(_ *server.Request, res *server.Response) {
		res.SetStatus(304)
		end(res, "ignored")
	},
	"/204-chunked": func(_ *server.Request, res *server.Response) {
		res.WriteHead(204, server.Field{Name: "Transfer-Encoding", Value: "chunked"})
		res.End(nil)
	},
	"/trailers":    trailers,
	"/echo":        echo,
	"/echo-stream": echoStream,
	"/headers": func(req *server.Request, res *server.Response) {
		endJSON(res, appendObject(nil, req.Headers()))
	},
	"/raw": func(req *server.Request, res *server.Response) {
		b := appendString([]byte{'['}, req.Method())
		b = appendString(append(b, ','), latin1Text(req.Target()))
		b = appendString(append(b, ','), version(req))
		b = appendList(append(b, ','), req.RawHeaders())
		endJSON(res, append(b, ']'))
	},
	"/trailers-in": func(req *server.Request, res *server.Response) {
		collect(req, res, func(content []byte) {
			b := appendString([]byte{'['}, utf8Text(content))
			b = appendObject(append(b, ','), req.Trailers())
			b = appendList(append(b, ','), req.RawTrailers())
			res.End(append(b, ']'))
		})
	},
	"/close": func(_ *server.Request, res *server.Response) {
		res.SetHeader("Connection", "close")
		end(res, "bye")
	},
	"/nodate": func(_ *server.Request, res *server.Response) {
		res.SendDate(false)
		end(res, "x")
	},
	"/ka-header": func(_ *server.Request, res *server.Response) {
		res.SetHeader("Keep-Alive", "timeout=99")
		end(res, "x")
	},
	"/reason": func(_ *server.Request, res *server.Response) {
		res.SetReason("Fine")
		res.WriteHead(200, server.Field{Name: "X-A", Value: "1"}, server.Field{Name: "X-A", Value: "2"})
		end(res, "x")
	},
	"/set-cookie": func(_ *server.Request, res *server.Response) {
		res.SetHeaderLines("Set-Cookie", "a=1", "b=2")
		end(res, "x")
	},
	"/early": func(_ *server.Request, res *server.Response) {
		res.WriteEarlyHints(server.Field{Name: "Link", Value: "</s.css>; rel=preload; as=style"})
		end(res, "x")
	},
	"/processing": func(_ *server.Request, res *server.Response) {
		res.WriteProcessing()
		end(res, "x")
	},
	"/cl-removed": func(_ *server.Request, res *server.Response) {
		res.DelHeader("content-length")
		end(res, "x")
	},
	"/te-cl-removed": func(_ *server.Request, res *server.Response) {
		res.DelHeader("content-length")
		res.DelHeader("transfer-encoding")
		end(res, "x")
	},
	"/status-599": func(_ *server.Request, res *server.Response) {
		res.SetStatus(599)
		end(res, "x")
	},
	"/status-299": func(_ *server.Request, res *server.Response) {
		res.SetStatus(299)
		end(res, "x")
	},
	"/slow": func(_ *server.Request, res *server.Response) {
		res.SetTimeout(60*time.Millisecond, func() { end(res, "slow") })
	},
	"/fast": func(_ *server.Request, res *server.Response) { end(res, "fast") },
	"/flush": func(_ *server.Request, res *server.Response) {
		res.SetHeader("X-F", "1")
		res.FlushHeaders()
		res.SetTimeout(20*time.Millisecond, func() { end(res, "late") })
	},
	"/utf8": func(_ *server.Request, res *server.Response) { end(res, "h\u00e9llo \u2713") },
	"/head-cl": func(req *server.Request, res *server.Response) {
		res.WriteHead(200, length("hello"))
		if req.MethodCode() == http1.HEAD {
			res.End(nil)
			return
		}
		end(res, "hello")
	},
	"/destroy": func(_ *server.Request, res *server.Response) { res.Destroy() },
}

func trailers(req *server.Request, res *server.Response) {
	if req.MethodCode() == http1.HEAD || version(req) == "1.0" {
		end(res, "no trailers here")
		return
	}
	res.WriteHead(200, server.Field{Name: "Trailer", Value: "X-T"})
	res.Write([]byte("body"))
	res.AddTrailer("X-T", "v")
	res.End(nil)
}

func echo(req *server.Request, res *server.Response) {
	collect(req, res, func(b []byte) {
		res.WriteHead(200, length(string(b)), server.Field{Name: "X-Method", Value: req.Method()})
		res.End(b)
	})
}

// echoStream is a pipe from the request to the response.
func echoStream(req *server.Request, res *server.Response) {
	res.WriteHead(200)
	req.Read(func(b []byte) { res.Write(b) }, func() { res.End(nil) })
}

// collect calls f with all of the content.
func collect(req *server.Request, res *server.Response, f func(b []byte)) {
	req.Collect(maxContent, func(b []byte, err error) {
		if err != nil {
			res.Abort(413)
			return
		}
		f(b)
	})
}

func end(res *server.Response, s string) { res.End([]byte(s)) }

func length(content string) server.Field {
	return server.Field{Name: "Content-Length", Value: strconv.Itoa(len(content))}
}

func endJSON(res *server.Response, b []byte) {
	res.WriteHead(200, length(string(b)))
	res.End(b)
}

func version(req *server.Request) string {
	major, minor := req.Version()
	return fmt.Sprintf("%d.%d", major, minor)
}
