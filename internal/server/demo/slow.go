// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifetrace/lifetrace/internal/server/app"
)

func slow(req *app.Request, res *app.Response, next app.Next) {
	d, err := millis(req)
	if err != nil {
		next(err)
		return
	}
	block(d)
	res.Text("blocked the loop for " + d.String() + "\n")
}

// block keeps the thread itself asleep. time.Sleep would give it back to the Go
// scheduler; a handler that blocks for real, in a system call or a library,
// does not.
func block(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for {
		var rest unix.Timespec
		if err := unix.Nanosleep(&left, &rest); !errors.Is(err, unix.EINTR) {
			return
		}
		left = rest
	}
}
