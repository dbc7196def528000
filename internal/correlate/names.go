// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// names keeps the texts of a run, and the labels made of them, of which it has
// few.
type names struct {
	lookup func(uint16) string
	plain  []string // a route's or a layer's name
	// meanings are the labels' and numbers finds a label by its own. layers,
	// parsers and handlers are the labels of those that have a name, by its
	// number; 0 is none.
	meanings                  []meaning
	numbers                   map[meaning]label
	layers, parsers, handlers []label

	// targets are the request targets that came lately, each at the place
	// that its hash says: one that comes again needs no memory.
	targets [targetsKept]string
	seed    maphash.Seed
}

// targetsKept bounds the targets' memory to 512 KiB.
const targetsKept = 1024

func newNames(lookup func(uint16) string) names {
	n := names{lookup: lookup, meanings: slices.Clone(meanings[:]), numbers: map[meaning]label{}, seed: maphash.MakeSeed()}
	for l, m := range n.meanings {
		n.numbers[m] = label(l)
	}
	return n
}

// of returns the name with a number. One that is not there yet is asked for
// again.
func (n *names) of(id uint16) string {
	if int(id) < len(n.plain) && n.plain[id] != "" {
		return n.plain[id]
	}
	name := n.lookup(id)
	if name != "" {
		for len(n.plain) <= int(id) {
			n.plain = append(n.plain, "")
		}
		n.plain[id] = name
	}
	return name
}

// target returns a request target as a string.
func (n *names) target(b []byte) string {
	kept := &n.targets[maphash.Bytes(n.seed, b)%targetsKept]
	if *kept != string(b) {
		*kept = string(b)
	}
	return *kept
}

// methodText returns a method as a string, without memory for those that HTTP
// defines.
func methodText(b []byte) string {
	for _, m := range [...]string{"GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "TRACE", "CONNECT"} {
		if string(b) == m {
			return m
		}
	}
	return string(b)
}

// versionText is how HTTP writes a version of major<<8 | minor.
func versionText(v uint64) string {
	switch v {
	case 0:
		return ""
	case 1<<8 | 1:
		return "HTTP/1.1"
	case 1 << 8:
		return "HTTP/1.0"
	}
	return "HTTP/" + digit(v>>8) + "." + digit(v&0xff)
}

// digit writes a version's part, which HTTP allows one digit.
func digit(v uint64) string {
	if v > 9 {
		return "?"
	}
	return string(rune('0' + v))
}

// id returns the id of an exchange's timeline, which is known as soon as the
// exchange is, so that others can name it as their blocker.
func (c *Correlator) id(key exchangeKey) (id timeline.ID) {
	hi := mix(c.opt.Seed ^ mix(key.conn))
	lo := mix(hi ^ mix(uint64(key.exchange)+1) ^ key.conn)
	hi = mix(hi + lo)
	if hi|lo == 0 {
		lo = 1 // the id of all zeroes is no trace id
	}
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id
}

// mix spreads the bits of v over all of the result, one to one.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}
