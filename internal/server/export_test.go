// SPDX-License-Identifier: Apache-2.0

package server

// Unsent is how many bytes of a response are kept in memory.
func Unsent(res *Response) int { return res.ex.unsent() }

// CutBacklog is cutBacklog.
var CutBacklog = cutBacklog

// AppendTarget is appendTarget on a whole target.
func AppendTarget(target string, keepQuery bool) string {
	t := []byte(target)
	start, end := splitTarget(t)
	return string(appendTarget(nil, t[start:end], t[min(end+1, len(t)):], keepQuery))
}
