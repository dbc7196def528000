// SPDX-License-Identifier: Apache-2.0

package server

import (
	"time"

	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Handler answers requests.
type Handler interface {
	// Handle is called on the loop when a request's head is complete. It
	// may answer at once or keep both and answer later, on the same loop.
	// Once the response has ended and Handle has returned, both are used
	// again for other requests and must not be touched any more.
	Handle(req *Request, res *Response)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(req *Request, res *Response)

// Handle calls f.
func (f HandlerFunc) Handle(req *Request, res *Response) { f(req, res) }

// Namer is implemented by handlers that stamp names. New calls it once.
type Namer interface{ UseNames(names *stamp.Names) }

// Options configure a Server. Only Listen and Handler are needed.
type Options struct {
	// Listen is host:port. Without a host the server listens on all
	// addresses, IPv6 and IPv4. Port 0 takes a free one.
	Listen  string
	Handler Handler

	// Loops is the number of loop threads; default 1. With more, each has a
	// listener of its own on the same port (SO_REUSEPORT).
	Loops int
	// Rings gives the ring of each loop; nil, or a nil ring: no stamps.
	Rings func(loop int) *stamp.Ring
	// Names is the table of the names in stamps; nil makes one.
	Names *stamp.Names
	// OnThread is called on the thread of each loop before it serves.
	OnThread func(loop, tid int)
	// ErrorLog is told what went wrong and has nobody else to be told: a
	// handler that panicked outside of an application, a listener that had
	// to pause. It is called on loop threads. Nil drops it.
	ErrorLog func(error)
	// KeepQuery leaves the values of query parameters in Target stamps; by
	// default they are redacted.
	KeepQuery bool

	// Limits bound the heads of requests.
	Limits http1.Limits
	// MaxPipelined bounds the exchanges of one connection that are not
	// finished; reading pauses there. Default 64.
	MaxPipelined int
	// MaxRequests is how many requests a connection may carry: the response to
	// the last one ends it, and the Keep-Alive field says so. 0: any number.
	MaxRequests int
	// MaxConnections bounds the open connections: one beyond it is closed at
	// once, and counted in Stats.Refused. 0: any number.
	MaxConnections int
	// ClientError decides the status that answers what the parser refuses, as
	// a listener of Node's 'clientError' may. Nil, or what is not a 4xx or
	// 5xx: the error's own.
	ClientError func(err *http1.Error) (status int)
	// Upgrade takes the connections of requests for another protocol: those
	// with an Upgrade field, the Connection option of that name, and no
	// content. Nil: such fields mean nothing.
	Upgrade Tunnel
	// Connect takes the connections of CONNECT requests. Nil: they get 501.
	Connect Tunnel
	// HighWaterMark is how many unsent bytes make Response.Write return
	// false and pause reading, and how much content nobody reads is kept
	// before reading pauses; default 16 KiB.
	HighWaterMark int

	// MaxUnsent bounds the response bytes of a connection that are kept for a
	// client that does not read: a handler that writes more all the same loses
	// the connection. One call may go beyond it. Default 64 MiB.
	MaxUnsent int

	// MinSendRate and MinReceiveRate are how many bytes a second, over a
	// RateWindow, a client has to take of what waits for it, and to send of a
	// request it has begun. One that does not loses its connection, in the
	// second case with 408. 0: it may take its time, as in Node.
	MinSendRate, MinReceiveRate int
	// RateWindow is over how long the rates are taken; default 30 s.
	RateWindow time.Duration

	// AllowHalfOpen goes on answering a client that has sent its FIN. By
	// default a FIN means that it has gone, as in Node: what was answered is
	// sent, what was not is aborted.
	AllowHalfOpen bool

	// HeadTimeout bounds the time to a complete head, RequestTimeout to a
	// complete request; defaults 60 s and 300 s. Then 408 is the answer.
	HeadTimeout, RequestTimeout time.Duration
	// KeepAliveTimeout is what the Keep-Alive field announces; default 5 s.
	// An idle connection is closed a second later than that.
	KeepAliveTimeout time.Duration
	// LingerTimeout bounds how long a connection that is closed while the
	// client still sends is kept to let the response arrive; default 2 s.
	LingerTimeout time.Duration
	// ShutdownTimeout bounds the graceful end of Run; default 10 s.
	ShutdownTimeout time.Duration

	// Workers bounds the goroutines of Async; default 64.
	Workers int
}

func (o Options) withDefaults() Options {
	num := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	dur := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	num(&o.Loops, 1)
	num(&o.MaxPipelined, 64)
	num(&o.HighWaterMark, 16<<10)
	num(&o.MaxUnsent, 64<<20)
	num(&o.Workers, 64)
	dur(&o.HeadTimeout, time.Minute)
	dur(&o.RequestTimeout, 5*time.Minute)
	dur(&o.KeepAliveTimeout, 5*time.Second)
	dur(&o.RateWindow, defaultRateWindow)
	dur(&o.LingerTimeout, 2*time.Second)
	dur(&o.ShutdownTimeout, 10*time.Second)
	if o.Names == nil {
		o.Names = stamp.NewNames()
	}
	if o.ErrorLog == nil {
		o.ErrorLog = func(error) {}
	}
	return o
}
