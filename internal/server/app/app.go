// SPDX-License-Identifier: Apache-2.0

package app

import (
	"sync"

	"github.com/lifetrace/lifetrace/internal/server"
	"github.com/lifetrace/lifetrace/internal/stamp"
)

// App is an application: the router that requests begin at.
type App struct {
	*Router
	settings Settings
	names    *stamp.Names
	onError  func(error)

	once sync.Once
	root *table // built at the first request
}

// Settings are what Express calls by that name. The zero value is what New
// takes.
type Settings struct {
	// RouterOptions are those of the application's own router.
	RouterOptions
	// Production keeps the texts of all errors from clients. Otherwise those
	// that are the client's own doing (4xx) are told; those of 5xx never are.
	Production bool
	// NoETag leaves the ETag out of the answers of Send, Text and JSON.
	NoETag bool
	// TrustProxy says which proxies' X-Forwarded fields are believed; nil
	// trusts none.
	TrustProxy Trust
}

// New returns an application without layers.
func New() *App { return NewWith(Settings{}) }

// NewWith returns an application with settings.
func NewWith(s Settings) *App {
	return &App{Router: NewRouter(s.RouterOptions), settings: s, names: stamp.NewNames()}
}

// UseNames makes stamps refer to a table of names; package server calls it
// before the application serves.
func (a *App) UseNames(names *stamp.Names) { a.names = names }

// OnError sets what is told the errors that no error layer has handled and that
// are not the client's: those that do not carry a status of 4xx. It is called on
// the loop.
func (a *App) OnError(f func(error)) { a.onError = f }

// Handle implements server.Handler.
func (a *App) Handle(req *server.Request, res *server.Response) {
	a.once.Do(func() { a.root = a.build("", a.names) })
	w, ok := req.Attachment().(*walk)
	if !ok || w.app != a {
		w = newWalk(a)
		req.SetAttachment(w)
	}
	w.begin(req, res)
	w.advance(nil)
}
