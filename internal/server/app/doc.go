// SPDX-License-Identifier: Apache-2.0

// Package app is Express 5 for package server: a stack of layers that a request
// walks down.
//
//	a := app.New()
//	a.Use(app.Named("auth", func(req *app.Request, res *app.Response, next app.Next) {
//		next()
//	}))
//	users := app.NewRouter(app.RouterOptions{})
//	users.Get("/:id", func(req *app.Request, res *app.Response) {
//		res.JSON(map[string]string{"id": req.Param("id")})
//	})
//	a.Use("/users", users)
//
// A layer answers, or calls next, at once or later; one that does neither leaves
// the client waiting, as in Express. next(err) skips to the error layers, and a
// panic is the same as next(err). Layers run on the loop.
//
// Paths have the syntax of path-to-regexp 8 (pattern.go, match.go). A router
// (router.go) is compiled for each place that it is mounted at (table.go), with
// an index of its paths (index.go). The walk (walk.go) is a stack of frames, one
// for each router the request is in; it allocates nothing.
//
// Every layer has a name, and each step of the walk is stamped with it; the name
// of a route is its path from the top. docs/app.md says what is Express's and
// what is not.
package app
