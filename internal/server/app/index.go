// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"strings"
)

// node is a place in the radix tree over the segments of a router's paths. The
// tree answers which entries may match a path; the entry's own pattern decides.
// So a request looks at the few entries on its way down, however many there are.
//
// Each list is in the order of registration, and a walk takes from all of them
// the one that was registered first: the order decides, as in Express.
type node struct {
	static map[string]*node // by segment, in lower case unless case counts
	param  *node            // any one segment
	exact  []int32          // entries whose path ends here
	below  []int32          // entries that also match, or may match, further down
}

// insert adds an entry for each sequence of its pattern; nil matches every path.
func (n *node) insert(i int32, p *pattern) {
	if p == nil {
		n.below = append(n.below, i)
		return
	}
	for _, seq := range p.sequences {
		at, whole := n.descend(seq)
		list := &at.below
		if whole && !p.prefix {
			list = &at.exact
		}
		// Sequences of one entry that end at one node are one.
		if k := len(*list); k == 0 || (*list)[k-1] != i {
			*list = append(*list, i)
		}
	}
}

// descend makes the way for as much of a sequence as is whole segments, each
// text or one parameter; whole says that this was all of it.
func (n *node) descend(seq []part) (at *node, whole bool) {
	at = n
	if len(seq) == 1 && seq[0].runs == nil && seq[0].text == "/" {
		return at, true
	}
	// To stop early is always right, only slower: the entry is then tried for more
	// paths than it matches.
	for i := 0; i < len(seq); i++ {
		t := &seq[i]
		if t.runs != nil {
			return at, false // it was not taken with the slash before it
		}
		if t.text[0] != '/' {
			return at, false
		}
		// Segment by segment; the last of this text may go on in a capture.
		for rest := t.text[1:]; ; {
			segment, more, cut := strings.Cut(rest, "/")
			switch {
			case !cut && segment == "" && i+1 < len(seq):
				if !wholeSegment(seq[i+1:]) {
					return at, false
				}
				if at.param == nil {
					at.param = &node{}
				}
				at = at.param
				i++ // the parameter
			case segment == "" || !cut && i+1 < len(seq):
				return at, false // a slash that counts, or half a segment
			default:
				at = at.child(segment)
			}
			if !cut {
				break
			}
			rest = more
		}
	}
	return at, true
}

// wholeSegment reports whether a sequence begins with a parameter that is a
// segment of its own.
func wholeSegment(seq []part) bool {
	runs := seq[0].runs
	return len(runs) == 1 && runs[0] == run{stop: "/"} && (len(seq) == 1 || seq[1].text[0] == '/')
}

func (n *node) child(segment string) *node {
	if n.static == nil {
		n.static = map[string]*node{}
	}
	c := n.static[segment]
	if c == nil {
		c = &node{}
		n.static[segment] = c
	}
	return c
}

// lists appends the lists of the entries that may match a path, which is in
// lower case unless case counts.
func (n *node) lists(path []byte, out [][]int32) [][]int32 {
	if len(n.below) > 0 {
		out = append(out, n.below)
	}
	if len(path) > 0 && path[0] != '/' {
		return out
	}
	// The slashes that may end a path are left to the pattern, which knows if
	// they count.
	if len(n.exact) > 0 && len(bytes.TrimLeft(path, "/")) == 0 {
		out = append(out, n.exact)
	}
	if len(path) < 2 {
		return out
	}
	segment, rest := path[1:], []byte(nil)
	if i := bytes.IndexByte(segment, '/'); i >= 0 {
		segment, rest = segment[:i], segment[i:]
	}
	if len(segment) == 0 {
		return out
	}
	// Both ways: a parameter matches what a text matches as well.
	if c := n.static[string(segment)]; c != nil {
		out = c.lists(rest, out)
	}
	if n.param != nil {
		out = n.param.lists(rest, out)
	}
	return out
}
