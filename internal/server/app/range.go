// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// byteRange is a part of content: the bytes at from to to, both included.
type byteRange struct{ from, to int64 }

// parseRange reads a Range field for content of some size; ok is false if it is
// malformed. Parts that meet are made one. None is left if none can be
// satisfied.
func parseRange(field string, size int64) (out []byteRange, ok bool) {
	_, list, found := strings.Cut(field, "=")
	if !found {
		return nil, false
	}
	for part := range strings.SplitSeq(list, ",") {
		first, last, found := strings.Cut(part, "-")
		first, last = strings.TrimSpace(first), strings.TrimSpace(last)
		from, okFirst := position(first)
		to, okLast := position(last)
		switch {
		case !found:
			return nil, false
		case first == "" && okLast:
			from, to = size-to, size-1
		case last == "" && okFirst:
			to = size - 1
		case !okFirst || !okLast:
			return nil, false
		}
		// One part that is outside does not spoil the others.
		if to = min(to, size-1); from > to || from < 0 {
			continue
		}
		out = append(out, byteRange{from, to})
	}
	slices.SortFunc(out, func(a, b byteRange) int { return cmp.Compare(a.from, b.from) })
	joined := out[:0]
	for _, r := range out {
		if n := len(joined); n > 0 && r.from <= joined[n-1].to+1 {
			joined[n-1].to = max(joined[n-1].to, r.to)
			continue
		}
		joined = append(joined, r)
	}
	return joined, true
}

func position(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}
