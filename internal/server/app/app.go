// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// App is an application. Layers are added before it serves.
type App struct {
	entries []entry
	groups  int
	names   *stamp.Names
	onError func(error)
}

// entry is a layer in the stack, with what it takes to get to it.
type entry struct {
	Layer
	nameID  uint16
	path    pattern
	any     bool         // matches every path
	method  http1.Method // of a route; 0: all
	route   bool
	routeID uint16 // the name of its template
	group   int    // what was added together: the layers of a route
}

// New returns an application without layers.
func New() *App { return &App{names: stamp.NewNames()} }

// UseNames makes stamps refer to a table of names; package server calls it.
func (a *App) UseNames(names *stamp.Names) {
	a.names = names
	for i := range a.entries {
		a.number(&a.entries[i])
	}
}

func (a *App) number(e *entry) {
	e.nameID = a.names.ID(e.name)
	if e.route {
		e.routeID = a.names.ID(e.path.text)
	}
}

// OnError sets what is told the errors that no error layer has handled and that
// are not the client's: those answered with 5xx. It is called on the loop.
func (a *App) OnError(f func(error)) { a.onError = f }

// Use adds layers, for all paths or for a path and what is below it. Layers are
// of the types Layer, Func and ErrorFunc, and functions like them.
func (a *App) Use(args ...any) {
	e := entry{any: true}
	if len(args) > 0 {
		if path, ok := args[0].(string); ok {
			e.any = path == "/"
			e.path = compile(path, true)
			args = args[1:]
		}
	}
	a.add(e, args)
}

// Get adds a route for GET and HEAD.
func (a *App) Get(path string, layers ...any) { a.route(http1.GET, path, layers) }

// Post adds a route for POST.
func (a *App) Post(path string, layers ...any) { a.route(http1.POST, path, layers) }

// Put adds a route for PUT.
func (a *App) Put(path string, layers ...any) { a.route(http1.PUT, path, layers) }

// Patch adds a route for PATCH.
func (a *App) Patch(path string, layers ...any) { a.route(http1.PATCH, path, layers) }

// Delete adds a route for DELETE.
func (a *App) Delete(path string, layers ...any) { a.route(http1.DELETE, path, layers) }

// All adds a route for all methods.
func (a *App) All(path string, layers ...any) { a.route(0, path, layers) }

func (a *App) route(m http1.Method, path string, layers []any) {
	a.add(entry{path: compile(path, false), method: m, route: true}, layers)
}

func (a *App) add(e entry, layers []any) {
	if len(layers) == 0 {
		panic(fmt.Sprintf("app: no layer for %q", e.path.text))
	}
	a.groups++
	e.group = a.groups
	for _, v := range layers {
		e.Layer = layerOf(v)
		if e.kind == 0 {
			switch {
			case e.onError != nil:
				e.kind = stamp.ErrorHandler
			case e.route:
				e.kind = stamp.Handler
			default:
				e.kind = stamp.Middleware
			}
		}
		a.number(&e)
		a.entries = append(a.entries, e)
	}
}

// Handle implements server.Handler.
func (a *App) Handle(req *server.Request, res *server.Response) {
	w, ok := req.Attachment().(*walk)
	if !ok || w.app != a {
		w = newWalk(a)
		req.SetAttachment(w)
	}
	w.begin(req, res)
	w.advance(nil)
}

// matches says whether a request gets to the entry, and collects parameters.
func (e *entry) matches(w *walk) bool {
	w.params = w.params[:0]
	if e.route && e.method != 0 {
		m := w.req.MethodCode()
		if m != e.method && !(m == http1.HEAD && e.method == http1.GET) {
			return false
		}
	}
	if e.any {
		return true
	}
	var ok bool
	w.params, ok = e.path.match(w.req.PathBytes(), w.params)
	return ok
}
