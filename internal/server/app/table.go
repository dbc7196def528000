// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// table is a router as it serves at one place: what does not depend on a request
// is worked out once. A router that is mounted twice has two, since the
// templates of its routes differ.
type table struct {
	opts    RouterOptions
	entries []entry
	index   node
	params  map[string][]paramHandler
	names   map[string]uint16 // of the parameter handlers
}

// entry is what a table holds at a path.
//
// Of below, routeID and nameID one is set: for a router, a route or a layer.
type entry struct {
	*mounted
	nameID  uint16   // of the layer
	below   *table   // of the router
	routeID uint16   // of the route's template
	ids     []uint16 // of the route's layers
}

// build makes a router's table for the place that a prefix names.
func (r *Router) build(prefix string, names *stamp.Names) *table {
	// From here on the router is read by all loops, without a lock.
	r.frozen.Store(true)
	t := &table{opts: r.opts, entries: make([]entry, len(r.entries)), params: r.params, names: map[string]uint16{}}
	for name := range r.params {
		t.names[name] = names.ID("param " + name)
	}
	for i, m := range r.entries {
		e := &t.entries[i]
		e.mounted = m
		switch {
		case m.router != nil:
			e.below = m.router.build(join(prefix, m.text), names)
		case m.route != nil:
			e.routeID = names.ID(join(prefix, m.text))
			for _, l := range m.route.layers {
				e.ids = append(e.ids, names.ID(l.name))
			}
		default:
			e.nameID = names.ID(m.layer.name)
		}
		t.index.insert(int32(i), m.pattern)
	}
	return t
}

// join puts a path below the one it is mounted at.
// The template is what the application wrote, so that requests to one route have
// one name whatever the client wrote.
func join(prefix, path string) string {
	prefix = strings.TrimRight(prefix, "/")
	if prefix != "" && path == "/" {
		return prefix
	}
	return prefix + path
}

// candidates returns the lists of entries that may match a path, appended to
// out, and the buffer they were looked up with.
func (t *table) candidates(path, buf []byte, out [][]int32) (_ [][]int32, _ []byte) {
	if !t.opts.CaseSensitive {
		buf = buf[:0]
		for _, c := range path {
			buf = append(buf, lowerByte(c))
		}
		path = buf
	}
	return t.index.lists(path, out), buf
}

// first takes from sorted lists the lowest entry from a number on; -1 if there
// is none.
func first(lists [][]int32, from int32) int32 {
	// There are about as many lists as the path has segments: to look at each is
	// cheaper than to merge them for layers that may never be asked for.
	best := int32(-1)
	for i := range lists {
		l := lists[i]
		// What the walk has passed is dropped, so that no entry is looked at
		// twice; one that is in two lists is passed in both.
		for len(l) > 0 && l[0] < from {
			l = l[1:]
		}
		lists[i] = l
		if len(l) > 0 && (best < 0 || l[0] < best) {
			best = l[0]
		}
	}
	return best
}
