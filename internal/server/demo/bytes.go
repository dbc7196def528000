// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"strconv"

	"github.com/lifetrace/lifetrace/internal/server/app"
)

// pieceSize is how much is written at once.
const pieceSize = 32 << 10

// pieces streams n bytes: it writes until the stream says stop, and goes on at
// 'drain', so that a slow client costs no memory.
type pieces struct {
	res   *app.Response
	piece []byte
	left  uint64
}

// bytes returns the handler of /bytes/:n.
func bytes() app.Func {
	piece := make([]byte, pieceSize)
	for i := range piece {
		piece[i] = 'a' + byte(i%26)
	}
	return func(req *app.Request, res *app.Response, next app.Next) {
		n, err := strconv.ParseUint(req.Param("n"), 10, 64)
		if err != nil || n > maxBytes {
			next(app.NewError(400, "n must be a number of bytes, at most 1099511627776"))
			return
		}
		res.SetHeader("Content-Type", "application/octet-stream")
		res.SetHeader("Content-Length", strconv.FormatUint(n, 10))
		p := &pieces{res: res, piece: piece, left: n}
		res.OnDrain(p.write)
		p.write()
	}
}

func (p *pieces) write() {
	for p.left > 0 {
		n := min(p.left, pieceSize)
		p.left -= n
		if !p.res.Write(p.piece[:n]) && p.left > 0 {
			return
		}
	}
	p.res.End(nil)
}
