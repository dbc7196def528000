// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"testing"
)

// What is looked at by 8 bytes must end where the table says, whatever two
// bytes meet at whatever place in the words.
func TestRuns(t *testing.T) {
	for _, tt := range []struct {
		name   string
		run    func([]byte, int) int
		class  class
		filler byte
	}{
		{"name", nameRun, tokenChar, 'x'},
		{"value", valueRun, valueChar, 'x'},
		{"value above ASCII", valueRun, valueChar, 0xff},
		{"target", targetRun, targetChar, '/'},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Repeat([]byte{tt.filler}, 21)
			for at := range 20 {
				for pair := range 1 << 16 {
					b[at], b[at+1] = byte(pair>>8), byte(pair)
					if got, want := tt.run(b, 2), run(b, 2, tt.class); got != want {
						t.Fatalf("%q: the run ends at %d, want %d", b, got, want)
					}
				}
				b[at] = tt.filler
			}
		})
	}
}
