// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/lifetrace/lifetrace/internal/server/http1"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Router is a stack of layers and routes that can be mounted in an application
// or in another router: a.Use("/api", router). Layers are added before the
// application serves; later is a mistake and panics.
type Router struct {
	opts    RouterOptions
	entries []*mounted
	params  map[string][]paramHandler
	frozen  atomic.Bool // it serves
}

// RouterOptions change how a router matches.
type RouterOptions struct {
	// CaseSensitive makes the case of letters in paths count.
	CaseSensitive bool
	// Strict makes a slash at the end of a route's path count.
	Strict bool
	// MergeParams shows the parameters of the path that the router is mounted
	// at to the router's own layers.
	MergeParams bool
}

// mounted is what a router holds at a path: a layer, another router or a route.
type mounted struct {
	text    string   // the path as it was written
	pattern *pattern // nil matches every path
	layer   Layer
	router  *Router
	route   *Route
}

// NewRouter returns a router without layers.
func NewRouter(opts RouterOptions) *Router { return &Router{opts: opts} }

// Use adds layers and routers, for all paths or for the paths that come first,
// one string or a []string, and what is below them. Layers are of the types
// that package documentation lists.
func (r *Router) Use(args ...any) *Router {
	paths := []string{"/"}
	if len(args) > 0 {
		switch v := args[0].(type) {
		case string:
			paths, args = []string{v}, args[1:]
		case []string:
			paths, args = v, args[1:]
		}
	}
	layers := flattened(args)
	if len(layers) == 0 || len(paths) == 0 {
		panic(fmt.Sprintf("app: no layer for %q", paths))
	}
	for _, path := range paths {
		m := mounted{text: path}
		if path != "/" {
			m.pattern = compile(path, true, r.opts.CaseSensitive, false)
		}
		for _, v := range layers {
			r.add(m, v)
		}
	}
	return r
}

func (r *Router) add(m mounted, v any) {
	switch v := v.(type) {
	case *Router:
		m.router = v
	case *App:
		m.router = v.Router
	default:
		m.layer = layerOf(v)
		if m.layer.kind == 0 {
			m.layer.kind = stamp.Middleware
		}
	}
	if m.router != nil && m.router.reaches(r) {
		panic("app: a router cannot be mounted below itself")
	}
	r.push(&m)
}

func (r *Router) push(m *mounted) {
	if r.frozen.Load() {
		panic("app: layers are added before the application serves")
	}
	r.entries = append(r.entries, m)
}

// reaches reports whether a router is this one or mounted somewhere below.
func (r *Router) reaches(other *Router) bool {
	return r == other || slices.ContainsFunc(r.entries, func(m *mounted) bool {
		return m.router != nil && m.router.reaches(other)
	})
}

// flattened takes lists of layers apart.
func flattened(args []any) (out []any) {
	for _, v := range args {
		if list, ok := v.([]any); ok {
			out = append(out, flattened(list)...)
			continue
		}
		out = append(out, v)
	}
	return out
}

// Route adds a route for a path, whose methods are added to it:
//
//	r.Route("/users/:id").Get(show).Put(store)
func (r *Router) Route(path string) *Route {
	route := &Route{router: r}
	r.push(&mounted{text: path, pattern: compile(path, false, r.opts.CaseSensitive, r.opts.Strict), route: route})
	return route
}

// Get adds a route for GET, and for HEAD if nothing else answers it.
func (r *Router) Get(path string, layers ...any) *Router { return r.verb(http1.GET, path, layers) }

// Head adds a route for HEAD.
func (r *Router) Head(path string, layers ...any) *Router { return r.verb(http1.HEAD, path, layers) }

// Post adds a route for POST.
func (r *Router) Post(path string, layers ...any) *Router { return r.verb(http1.POST, path, layers) }

// Put adds a route for PUT.
func (r *Router) Put(path string, layers ...any) *Router { return r.verb(http1.PUT, path, layers) }

// Patch adds a route for PATCH.
func (r *Router) Patch(path string, layers ...any) *Router { return r.verb(http1.PATCH, path, layers) }

// Delete adds a route for DELETE.
func (r *Router) Delete(path string, layers ...any) *Router {
	return r.verb(http1.DELETE, path, layers)
}

// Options adds a route for OPTIONS, in place of the answer that the routes of a
// path give by themselves.
func (r *Router) Options(path string, layers ...any) *Router {
	return r.verb(http1.OPTIONS, path, layers)
}

// Method adds a route for a method by its name, such as PROPFIND.
func (r *Router) Method(method, path string, layers ...any) *Router {
	return r.verb(methodNamed(method), path, layers)
}

// All adds a route for all methods.
func (r *Router) All(path string, layers ...any) *Router { return r.verb(0, path, layers) }

func (r *Router) verb(m http1.Method, path string, layers []any) *Router {
	r.Route(path).add(m, layers)
	return r
}

func methodNamed(name string) http1.Method {
	m, ok := http1.ParseMethod([]byte(name))
	if !ok {
		panic(fmt.Sprintf("app: unknown method %q", name))
	}
	return m
}

// Param adds a handler of a parameter: it is called before the first layer of
// this router whose path has the parameter, once for each value in a request,
// and goes on with next as a layer does. It is not called for the routers below.
func (r *Router) Param(name string, fn func(req *Request, res *Response, next Next, value string)) *Router {
	if name == "" || fn == nil {
		panic("app: a parameter handler needs a name and a function")
	}
	if r.frozen.Load() {
		panic("app: layers are added before the application serves")
	}
	if r.params == nil {
		r.params = map[string][]paramHandler{}
	}
	r.params[name] = append(r.params[name], fn)
	return r
}

// Route is what is done with the requests for one path.
type Route struct {
	router  *Router
	layers  []routeLayer
	methods uint64 // bits of the methods that have layers
	all     bool   // a layer takes any method
}

// routeLayer is a layer for a method; 0 is all.
type routeLayer struct {
	Layer
	method http1.Method
}

// Get adds layers for GET, and for HEAD if nothing else answers it.
func (t *Route) Get(layers ...any) *Route { return t.add(http1.GET, layers) }

// Head adds layers for HEAD.
func (t *Route) Head(layers ...any) *Route { return t.add(http1.HEAD, layers) }

// Post adds layers for POST.
func (t *Route) Post(layers ...any) *Route { return t.add(http1.POST, layers) }

// Put adds layers for PUT.
func (t *Route) Put(layers ...any) *Route { return t.add(http1.PUT, layers) }

// Patch adds layers for PATCH.
func (t *Route) Patch(layers ...any) *Route { return t.add(http1.PATCH, layers) }

// Delete adds layers for DELETE.
func (t *Route) Delete(layers ...any) *Route { return t.add(http1.DELETE, layers) }

// Options adds layers for OPTIONS.
func (t *Route) Options(layers ...any) *Route { return t.add(http1.OPTIONS, layers) }

// Method adds layers for a method by its name.
func (t *Route) Method(method string, layers ...any) *Route {
	return t.add(methodNamed(method), layers)
}

// All adds layers for all methods.
func (t *Route) All(layers ...any) *Route { return t.add(0, layers) }

func (t *Route) add(m http1.Method, layers []any) *Route {
	if t.router.frozen.Load() {
		panic("app: layers are added before the application serves")
	}
	layers = flattened(layers)
	if len(layers) == 0 {
		panic("app: a route without a layer")
	}
	for _, v := range layers {
		l := routeLayer{layerOf(v), m}
		if l.kind == 0 {
			l.kind = stamp.Handler
			if l.onError != nil {
				l.kind = stamp.ErrorHandler
			}
		}
		t.layers = append(t.layers, l)
	}
	if m == 0 {
		t.all = true
	} else {
		t.methods |= 1 << m
	}
	return t
}

// method returns the method whose layers answer a request's: HEAD is answered
// by those of GET.
func (t *Route) method(m http1.Method) http1.Method {
	if m == http1.HEAD && t.methods&(1<<http1.HEAD) == 0 {
		return http1.GET
	}
	return m
}

// handles reports whether the route has layers for a request's method.
func (t *Route) handles(m http1.Method) bool {
	return t.all || t.methods&(1<<t.method(m)) != 0
}

// allowed returns the methods that the route tells OPTIONS.
func (t *Route) allowed() uint64 {
	if t.methods&(1<<http1.GET) != 0 {
		return t.methods | 1<<http1.HEAD
	}
	return t.methods
}
