// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/server/http1"
)

// pieceSize is how much of a file is read at once.
const pieceSize = 64 << 10

// openFile is a file that is being sent. Reading happens off the loop while the
// exchange may end on it, so that whoever is last closes it.
type openFile struct {
	name     string
	size     int64
	modified time.Time
	isDir    bool

	mu     sync.Mutex
	file   *os.File
	closed bool
}

// close closes the file, now or as soon as it has been opened.
func (f *openFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.file != nil {
		_ = f.file.Close() // it was only read
	}
}

// open opens the first of some files that exists, off the loop.
func open(res *Response, tries []string, then func(*openFile, error)) {
	f := &openFile{}
	res.OnClose(f.close)
	server.Async(res.Response, func() (*openFile, error) { return f, f.open(tries) }, then)
}

func (f *openFile) open(tries []string) error {
	// Without O_NONBLOCK a pipe would keep the worker until somebody writes to
	// it.
	file, err := os.OpenFile(tries[0], os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if len(tries) > 1 && errors.Is(err, fs.ErrNotExist) {
			return f.open(tries[1:])
		}
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.name, f.file = tries[0], file
	if f.closed { // nobody waits for it any more, and nobody else closes it
		_ = file.Close()
		return fs.ErrClosed
	}
	// Of what is open, not of what has the name by now.
	info, err := file.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	f.size, f.modified, f.isDir = info.Size(), info.ModTime(), info.IsDir()
	return nil
}

// fileError gives an error of opening a file its status.
// What names no file is 404; anything else is the server's own trouble.
func fileError(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		return NewError(404, "Not Found")
	}
	return fmt.Errorf("open file: %w", err)
}

func statusBelow500(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status < 500
}

// SendFile answers with a file. The path is the program's own: a part of it that
// a client says has to be checked before, as Static does. An error, and a
// directory, go to the next layer.
func (r *Response) SendFile(name string, o FileOptions) {
	// The layer that calls this is the one that was entered last: what is left to
	// the next layer is left in its name.
	w := r.req.w
	next := w.steps[w.depth-1].next
	if strings.Contains(name, "\x00") {
		next(NewError(400, "Bad Request"))
		return
	}
	open(r, []string{name}, func(f *openFile, err error) {
		switch {
		case err != nil:
			next(fileError(err))
		case f.isDir:
			next()
		default:
			if err := r.sendOpen(f, o); err != nil {
				next(err)
			}
		}
	})
}

// Download answers with a file that the client is to save under a name; "" is
// the file's own.
func (r *Response) Download(name, as string) {
	if as == "" {
		as = path.Base(name)
	}
	r.SetHeader("Content-Disposition", disposition(as))
	r.SendFile(name, FileOptions{})
}

// Attachment says that the content is to be saved, under a name if it is not "",
// whose extension sets Content-Type.
func (r *Response) Attachment(name string) *Response {
	if name != "" {
		r.Type(path.Ext(name))
	}
	r.SetHeader("Content-Disposition", disposition(path.Base(name)))
	return r
}

// disposition names a file in ASCII, and in UTF-8 where that is not all of it
// (RFC 6266).
// The name in ASCII is for clients that know no other; a question mark stands for
// what it lacks.
func disposition(name string) string {
	if name == "" || name == "." {
		return "attachment"
	}
	ascii := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, name)
	out := `attachment; filename="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(ascii) + `"`
	if ascii != name {
		out += "; filename*=UTF-8''" + strings.NewReplacer("'", "%27", "(", "%28", ")", "%29", "*", "%2A").Replace(encodeComponent(name))
	}
	return out
}

// sendOpen answers with a file, a part of it, or that the client has it; or
// returns the error that the request's conditions or range make.
func (r *Response) sendOpen(f *openFile, o FileOptions) error {
	// In the order of RFC 9110, 13.2.2: what forbids, what saves the content,
	// what asks for a part of it.
	etag, modified := r.describe(f, o)
	status := r.Response.Status()
	if r.req.failed(etag, modified) {
		return NewError(412, "Precondition Failed")
	}
	if (status >= 200 && status < 300 || status == 304) && r.req.fresh(etag, modified) {
		for _, name := range []string{"Content-Encoding", "Content-Language", "Content-Length", "Content-Range", "Content-Type"} {
			r.DelHeader(name)
		}
		r.SetStatus(304)
		r.End(nil)
		return nil
	}
	// A range that cannot be read is ignored; one that cannot be satisfied is an
	// error, since the client relies on knowing the size (RFC 9110, 14.2).
	from, n := int64(0), f.size
	if field := r.req.Header("range"); strings.HasPrefix(strings.TrimLeft(field, " "), "bytes=") && r.rangeFresh(etag, modified) {
		ranges, ok := parseRange(field, f.size)
		if ok && len(ranges) == 0 {
			size := "bytes */" + strconv.FormatInt(f.size, 10)
			e := typed(416, "", server.StatusText(416))
			e.Header = [][2]string{{"Content-Range", size}}
			return e
		}
		if len(ranges) == 1 { // several are answered with the whole
			from, n = ranges[0].from, ranges[0].to-ranges[0].from+1
			r.SetStatus(206)
			r.SetHeader("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, ranges[0].to, f.size))
		}
	}
	r.SetHeader("Content-Length", strconv.FormatInt(n, 10))
	if r.req.MethodCode() == http1.HEAD || n == 0 {
		r.End(nil)
		return nil
	}
	// One piece is read at a time, so that a file costs one piece of memory
	// beside what the stream holds, and a slow client no reading ahead.
	p := &piece{res: r, f: f, at: from, left: n}
	r.OnDrain(p.send)
	p.send()
	return nil
}

// describe sets the fields that describe a file, unless they are set.
func (r *Response) describe(f *openFile, o FileOptions) (etag, modified string) {
	// The conditions are about what is sent, so that a layer's own tag counts.
	set := func(name, value string) string {
		if v, ok := r.Header(name); ok {
			return v
		}
		r.SetHeader(name, value)
		return value
	}
	set("Accept-Ranges", "bytes")
	cache := "public, max-age=" + strconv.FormatInt(int64(max(0, o.MaxAge)/time.Second), 10)
	if o.Immutable {
		cache += ", immutable"
	}
	set("Cache-Control", cache)
	modified = set("Last-Modified", f.modified.UTC().Format(http.TimeFormat))
	etag = set("ETag", fmt.Sprintf(`W/"%x-%x"`, f.size, f.modified.UnixMilli()))
	kind := contentType(path.Ext(f.name))
	set("Content-Type", kind)
	return etag, modified
}

// rangeFresh reports whether If-Range allows a part (RFC 9110, 13.1.5).
func (r *Response) rangeFresh(etag, modified string) bool {
	cond := r.req.Header("if-range")
	switch {
	case cond == "":
		return true
	case strings.Contains(cond, `"`):
		return strings.Contains(cond, etag)
	}
	return !after(modified, cond)
}

// piece sends a part of a file piece by piece: it reads the next when the client
// has taken enough of those before.
type piece struct {
	res      *Response
	f        *openFile
	at, left int64
	buf      []byte
}

func (p *piece) send() {
	// The buffer is the worker's until the continuation runs; Write copies.
	if p.buf == nil {
		p.buf = make([]byte, min(pieceSize, p.left))
	}
	b := p.buf[:min(int64(len(p.buf)), p.left)]
	server.Async(p.res.Response, func() (int, error) {
		n, err := p.f.file.ReadAt(b, p.at)
		if n == len(b) || errors.Is(err, io.EOF) && n > 0 {
			err = nil
		}
		return n, err
	}, func(n int, err error) {
		p.at += int64(n)
		p.left -= int64(n)
		switch {
		case err != nil: // also when it is shorter than it was: the client must know
			p.res.Abort(500)
		case p.left == 0:
			p.res.End(b[:n])
		case p.res.Write(b[:n]):
			p.send()
		}
	})
}
