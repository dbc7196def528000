// SPDX-License-Identifier: Apache-2.0

package server

import "time"

// dateLayout is IMF-fixdate (RFC 9110, 5.6.7); the zone is always GMT.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

// dateCache keeps the Date field of the present second.
type dateCache struct {
	text  []byte
	until int64 // ns of CLOCK_MONOTONIC
}

// append adds the date at loop time now. The wall clock is read once a second,
// so that a step of it shows within a second.
func (d *dateCache) append(b []byte, now int64) []byte {
	if now >= d.until || d.text == nil {
		wall := time.Now().UTC()
		d.text = wall.AppendFormat(d.text[:0], dateLayout)
		d.until = now + int64(time.Second) - int64(wall.Nanosecond())
	}
	return append(b, d.text...)
}
