// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lifetrace/lifetrace/internal/admin"
	"github.com/lifetrace/lifetrace/internal/clock"
	"github.com/lifetrace/lifetrace/internal/collect"
	"github.com/lifetrace/lifetrace/internal/correlate"
	"github.com/lifetrace/lifetrace/internal/metrics"
	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/demo"
	"github.com/lifetrace/lifetrace/internal/stamp"
	"github.com/lifetrace/lifetrace/internal/timeline"
	"github.com/lifetrace/lifetrace/internal/window"
)

// ringStamps is how many stamps a loop's ring holds: at a hundred thousand
// requests a second, more than a tenth of a second's worth.
const ringStamps = 1 << 18

// timelineBytes is the window's memory for each timeline that was asked for, the
// slowest ones' half included; a GET of the demo application takes 7 KiB.
const timelineBytes = 16 << 10

// daemon is lifetrace run, put together.
type daemon struct {
	cfg       Config
	out, errw io.Writer

	names  *stamp.Names
	rings  []*stamp.Ring
	server *server.Server
	kernel *kernelHalf // nil: server-side marks only
	join   *correlate.Correlator
	col    *collect.Collector
	window *window.Window
	wall   atomic.Int64 // see clock.WallOffset
	admin  *http.Server
	ready  atomic.Bool
}

// runDaemon runs until ctx is done, then answers what it has begun and stops.
func runDaemon(ctx context.Context, cfg Config, out, errw io.Writer) (err error) {
	// Each loop holds a P while it runs; the collector's two goroutines, the
	// admin endpoint and a loop that comes back from a blocking epoll_wait
	// must find one too, or the Go scheduler shows in the timelines.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), cfg.Loops+3))
	// Most of the heap is kept timelines, and there is little garbage: half of
	// Go's usual headroom saves a quarter of the memory for some CPU in a
	// thousand. Who sets GOGC knows better.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	d := &daemon{cfg: cfg, out: out, errw: errw, names: stamp.NewNames()}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.build(); err != nil {
		return err
	}
	return d.serve(ctx)
}

// build makes the parts in the order in which they need each other. The
// server's address is bound before the probes are loaded, which must know the
// port, and listens after it, so that no connection comes too early.
func (d *daemon) build() error {
	for range d.cfg.Loops {
		d.rings = append(d.rings, stamp.NewRing(ringStamps))
	}
	var err error
	d.server, err = server.New(server.Options{
		Listen:   d.cfg.Listen,
		Loops:    d.cfg.Loops,
		Handler:  demo.New(),
		Rings:    func(loop int) *stamp.Ring { return d.rings[loop] },
		Names:    d.names,
		OnThread: d.watch,
		ErrorLog: func(err error) { d.log("%v", err) },
	})
	if err != nil {
		return withAdvice(err, "--listen")
	}
	if d.kernel, err = d.openKernel(d.server.Addr().Port()); err != nil {
		return err
	}
	debug.FreeOSMemory() // loading takes more than running
	d.window = window.New(window.Options{Recent: d.cfg.Window, Bytes: int64(d.cfg.Window) * timelineBytes})
	d.wall.Store(clock.WallOffset(16))

	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg, d.sources(), metrics.Options{Version: version, Revision: revision()})
	if err != nil {
		return err
	}
	if err := metrics.RegisterProcess(reg); err != nil {
		return err
	}
	d.join = correlate.New(correlate.Options{
		Seed:   uint64(time.Now().UnixNano()),
		Names:  d.names.Name,
		Kernel: d.kernel.support(),
		Emit: func(t *timeline.Timeline) {
			t.Wall = d.wall.Load()
			m.Observe(t)
			d.window.Add(t)
		},
		Missed: m.Missed,
	})
	o := collect.Options{Rings: d.rings, Join: d.join}
	if d.kernel != nil {
		o.Lanes = d.kernel.reader
	}
	d.col = collect.New(o)
	d.admin = &http.Server{
		Handler: admin.New(admin.Options{
			Window: d.window, Metrics: metrics.Handler(reg), Probes: d.probeStats,
			Ready: d.isReady, Host: hostOf(d.cfg.Admin),
		}),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	return nil
}

// withAdvice adds to an error about an address what to do about it.
func withAdvice(err error, flag string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; stop what listens there, or choose another address with %s", err, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; ports below 1024 need root, or choose another with %s", err, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; this host has no such address, choose another with %s", err, flag)
	}
	return err
}

// serve runs everything until ctx is done or a part fails.
func (d *daemon) serve(ctx context.Context) error {
	l, err := net.Listen("tcp", d.cfg.Admin)
	if err != nil {
		return withAdvice(fmt.Errorf("admin endpoint: %w", err), "--admin")
	}
	failed := make(chan error, 1)
	go func() {
		if err := d.admin.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("admin endpoint: %w", err)
		}
	}()
	collecting, stopCollecting := context.WithCancel(context.Background())
	collected := make(chan struct{})
	go func() { d.col.Run(collecting); close(collected) }()
	go d.followWallClock(collecting)
	defer func() {
		stopCollecting()
		<-collected
	}()

	if err := d.server.Start(); err != nil {
		return withAdvice(err, "--listen")
	}
	d.ready.Store(true)
	d.announce(l.Addr())
	if err := d.writeReadyFile(l.Addr()); err != nil {
		return errors.Join(err, d.stopServer())
	}
	defer d.removeReadyFile()

	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-d.server.Done():
		err = errors.New("the server's loops have ended")
	}
	d.ready.Store(false)
	return errors.Join(err, d.stopServer(), d.stopAdmin())
}

// shutdownTime bounds a graceful stop.
const shutdownTime = 10 * time.Second

// stopServer answers what was begun. What a handler does not answer in time is
// cut off and said, and no reason to fail: the stop was asked for.
func (d *daemon) stopServer() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err := d.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		d.log("cut off %s that had no answer within %v", plural(int(d.server.Stats().Open), "connection"), shutdownTime)
		select {
		case <-d.server.Done():
		case <-time.After(time.Second): // a handler that blocks its loop stays
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}

func (d *daemon) stopAdmin() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := d.admin.Shutdown(ctx); err != nil {
		// A client that holds its connection is cut off.
		return d.admin.Close()
	}
	return nil
}

// close gives back what build took; it may have got anywhere.
func (d *daemon) close() error {
	var err error
	if d.server != nil {
		err = d.stopServer() // does nothing where it has stopped
	}
	if d.kernel != nil {
		err = errors.Join(err, d.kernel.close())
	}
	return err
}

func (d *daemon) watch(loop, tid int) {
	if d.kernel == nil {
		return
	}
	if err := d.kernel.probes.Watch(loop, tid); err != nil {
		d.log("loop %d: its wake-ups are not seen: %v", loop, err)
	}
}

// followWallClock measures the wall clock again every second: it may be stepped
// or slewed while CLOCK_MONOTONIC goes on.
func (d *daemon) followWallClock(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.wall.Store(clock.WallOffset(8))
		}
	}
}

func (d *daemon) isReady() error {
	if !d.ready.Load() {
		return errors.New("the server does not listen yet, or stops")
	}
	return nil
}

func (d *daemon) log(format string, args ...any) {
	fmt.Fprintln(d.errw, "lifetrace: "+oneLine(fmt.Sprintf(format, args...)))
}

// announce says what runs where.
func (d *daemon) announce(admin net.Addr) {
	fmt.Fprintf(d.out, "serving   http://%s  (demo application, %s, accept queue of %d)\n",
		reachable(d.server.Addr()), plural(d.cfg.Loops, "loop"), d.server.Backlog())
	fmt.Fprintf(d.out, "tracing   %s\n", d.kernel.summary())
	fmt.Fprintf(d.out, "admin     http://%s  (/metrics, /api/v1/timelines)\n", admin)
	fmt.Fprintf(d.out, "try       curl http://%s/users/42 && %s\n", reachable(d.server.Addr()), dumpCommand(os.Args[0], admin.String()))
}

// dumpCommand is what to type: the program as it was called, which need not be
// in the PATH.
func dumpCommand(program, admin string) string {
	c := program + " dump --last 1"
	if admin != defaultAdmin {
		c += " --admin " + admin
	}
	return c
}

// writeReadyFile tells whoever waits that everything listens, and where. It
// appears whole or not at all.
func (d *daemon) writeReadyFile(admin net.Addr) error {
	path := d.cfg.ReadyFile
	if path == "" {
		return nil
	}
	text := fmt.Sprintf("listen=%s\nadmin=%s\n", d.server.Addr(), admin)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed, which is fine
	_, err = tmp.WriteString(text)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

func (d *daemon) removeReadyFile() {
	if d.cfg.ReadyFile != "" {
		_ = os.Remove(d.cfg.ReadyFile)
	}
}
