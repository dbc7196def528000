// SPDX-License-Identifier: Apache-2.0

package stamp

import "sync"

// Names gives small numbers to the names of layers and routes, so that stamps
// need no strings. It is append-only; number 0 is the empty name. It is safe
// for any number of goroutines.
type Names struct {
	mu    sync.RWMutex
	ids   map[string]uint16
	names []string
}

// NewNames returns a table that holds the empty name.
func NewNames() *Names {
	return &Names{ids: map[string]uint16{"": 0}, names: []string{""}}
}

// ID returns the number of a name. When all 65535 numbers are taken it returns
// 0, so that a name that cannot be told is empty, never another's.
func (n *Names) ID(name string) uint16 {
	n.mu.RLock()
	id, ok := n.ids[name]
	n.mu.RUnlock()
	if ok {
		return id
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if id, ok = n.ids[name]; ok {
		return id
	}
	if len(n.names) > 0xffff {
		return 0
	}
	id = uint16(len(n.names))
	n.ids[name] = id
	n.names = append(n.names, name)
	return id
}

// Name returns the name with a number, or "" if there is none.
func (n *Names) Name(id uint16) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if int(id) < len(n.names) {
		return n.names[id]
	}
	return ""
}
