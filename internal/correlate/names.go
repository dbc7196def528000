// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"encoding/binary"

	"github.com/lifetrace/lifetrace/internal/timeline"
)

// names keeps the texts made of name numbers, of which a run has few.
type names struct {
	lookup          func(uint16) string
	plain           []string // a route's or a layer's name
	layer, handlers []string // with what a span's name has before it
}

func (n *names) of(id uint16) string { return cached(&n.plain, id, "", n.lookup) }

func (n *names) layerSpan(id uint16) string { return cached(&n.layer, id, "layer:", n.lookup) }

func (n *names) handlerSpan(id uint16) string { return cached(&n.handlers, id, "handler:", n.lookup) }

// cached looks a name up once. A name that is not there yet is asked for again.
func cached(table *[]string, id uint16, prefix string, lookup func(uint16) string) string {
	for len(*table) <= int(id) {
		*table = append(*table, "")
	}
	if s := (*table)[id]; s != "" {
		return s
	}
	name := lookup(id)
	if name == "" {
		return prefix
	}
	(*table)[id] = prefix + name
	return (*table)[id]
}

// methodText returns a method as a string, without memory for the usual ones.
func methodText(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "HEAD":
		return "HEAD"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
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
