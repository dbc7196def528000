// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"strings"
)

// fresh reports whether the request's conditions say that the client has what
// an entity tag and a date of change describe (RFC 9110, 13.1).
func (r *Request) fresh(etag, modified string) bool {
	match, since := r.HeaderBytes("if-none-match"), r.HeaderBytes("if-modified-since")
	if len(match) == 0 && len(since) == 0 {
		return false
	}
	if c := r.HeaderBytes("cache-control"); c != nil && listHas(string(c), "no-cache") {
		return false // a reload, all the way
	}
	// A tag knows better than a date: with If-None-Match the other does not count.
	if len(match) > 0 {
		return string(match) == "*" || etag != "" && hasTag(string(match), etag)
	}
	return modified != "" && !after(modified, string(since))
}

// failed reports whether a condition of the request (RFC 9110, 13.1.1 and
// 13.1.4) forbids an answer of this entity.
func (r *Request) failed(etag, modified string) bool {
	if match := r.Header("if-match"); match != "" {
		return etag == "" || match != "*" && !hasTag(match, etag)
	}
	if since := r.Header("if-unmodified-since"); since != "" {
		if _, err := http.ParseTime(since); err == nil {
			return after(modified, since)
		}
	}
	return false
}

// after reports whether a date is not known to be at or before another.
func after(date, other string) bool {
	d, err := http.ParseTime(date)
	if err != nil {
		return true
	}
	o, err := http.ParseTime(other)
	return err != nil || d.After(o)
}

// hasTag reports whether a list has an entity tag, weak or strong.
// The weak comparison, for If-Match too, as Express does: its tags are weak, and by
// the letter none would ever match.
func hasTag(list, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for member := range strings.SplitSeq(list, ",") {
		if strings.TrimPrefix(strings.Trim(member, " "), "W/") == etag {
			return true
		}
	}
	return false
}

// listHas reports whether a list field has a member, in any case of letters.
func listHas(list, member string) bool {
	for m := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(m, " \t"), member) {
			return true
		}
	}
	return false
}
