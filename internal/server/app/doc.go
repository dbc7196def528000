// SPDX-License-Identifier: Apache-2.0

// Package app is an Express-like application for package server: a stack of
// layers that a request walks down.
//
//	a := app.New()
//	a.Use(app.Named("auth", func(req *app.Request, res *app.Response, next app.Next) {
//		next()
//	}))
//	a.Get("/users/:id", func(req *app.Request, res *app.Response, next app.Next) {
//		res.JSON(map[string]string{"id": req.Param("id")})
//	})
//
// A layer answers, or calls next, at once or later; one that does neither leaves
// the client waiting, as in Express. next(err) skips to the error layers, and a
// panic is the same as next(err). Layers run on the loop.
//
// Every layer has a name, and each step of the walk is stamped with it.
package app
