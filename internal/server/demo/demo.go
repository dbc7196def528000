// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"strconv"
	"time"

	"github.com/lifetrace/lifetrace/internal/server/app"
)

// Limits of what a request may ask for.
const (
	maxEcho  = 64 << 20         // bytes of content that /echo takes
	maxBytes = 1 << 40          // bytes of content that /bytes gives
	maxWait  = 60 * time.Second // of /slow and /async
)

const index = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>lifetrace demo</title></head>
<body><h1>lifetrace demo</h1>
<ul>
<li><a href="/users/42">/users/:id</a> a quick answer, JSON</li>
<li>/echo any method: answers with the content it got</li>
<li><a href="/bytes/1000000">/bytes/:n</a> n bytes, streamed</li>
<li><a href="/slow?ms=200">/slow?ms=</a> blocks the loop</li>
<li><a href="/async?ms=200">/async?ms=</a> takes as long without blocking it</li>
<li><a href="/hang">/hang</a> a layer that never goes on</li>
<li><a href="/error">/error</a> a handler that fails</li>
</ul></body></html>
`

type user struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// errDemo is what /error fails with.
var errDemo = errors.New("this handler always fails")

// New returns the application.
func New() *app.App {
	a := app.New()
	a.Use(app.Named("poweredBy", poweredBy))
	a.Use(app.Named("requestId", requestID))
	a.All("/echo", app.Raw(maxEcho), app.Named("echo", echo))
	a.Use(app.JSON(0))
	a.Get("/", app.Named("index", func(_ *app.Request, res *app.Response, _ app.Next) { res.Send(index) }))
	a.Get("/users/:id", app.Named("user", func(req *app.Request, res *app.Response, _ app.Next) {
		id := req.Param("id")
		res.JSON(user{ID: id, Name: "user " + id})
	}))
	a.Get("/bytes/:n", app.Named("bytes", bytes()))
	a.Get("/slow", app.Named("slow", slow))
	a.Get("/async", app.Named("async", async))
	// Neither an answer nor next: what a forgotten branch looks like.
	a.Get("/hang", app.Named("hang", func(*app.Request, *app.Response, app.Next) {}))
	a.Get("/error", app.Named("error", func(_ *app.Request, _ *app.Response, next app.Next) { next(errDemo) }))
	return a
}

func poweredBy(_ *app.Request, res *app.Response, next app.Next) {
	res.SetHeader("X-Powered-By", "lifetrace")
	next()
}

// requestID names the exchange as timelines do: by its connection's socket
// cookie and its number on it.
func requestID(req *app.Request, res *app.Response, next app.Next) {
	var b [40]byte
	id := strconv.AppendUint(b[:0], req.Cookie(), 10)
	id = append(id, '-')
	id = strconv.AppendUint(id, uint64(req.Exchange()), 10)
	res.SetHeader("X-Request-Id", string(id))
	next()
}

func echo(req *app.Request, res *app.Response, _ app.Next) {
	if t := req.Header("content-type"); t != "" {
		res.SetHeader("Content-Type", t)
	}
	res.End(req.Raw)
}

// millis reads the parameter ms.
func millis(req *app.Request) (time.Duration, error) {
	v, _ := req.Query("ms")
	n, err := strconv.ParseUint(v, 10, 32)
	if d := time.Duration(n) * time.Millisecond; err == nil && d <= maxWait {
		return d, nil
	}
	return 0, app.NewError(400, "ms must be a number of milliseconds, at most 60000")
}

func async(req *app.Request, res *app.Response, next app.Next) {
	d, err := millis(req)
	if err != nil {
		next(err)
		return
	}
	res.SetTimeout(d, func() { res.Text("waited " + d.String() + " without blocking\n") })
}
