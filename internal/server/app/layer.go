// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"github.com/lifetrace/lifetrace/internal/stamp"
)

// Next goes on to the next layer. With an error that is not nil it goes on to
// the next error layer. Only the first call of a layer's next counts.
type Next func(err ...error)

// Func is a layer.
type Func func(req *Request, res *Response, next Next)

// ErrorFunc is an error layer, Express's layer with four arguments: it is
// called only while there is an error.
type ErrorFunc func(err error, req *Request, res *Response, next Next)

// Layer is a layer with a name. What is passed as a layer may be a Layer, a Func,
// an ErrorFunc, a function of their types, or one that cannot go on by itself:
//
//	func(*Request, *Response)
//	func(*Request, *Response) error
//	func(*Request, *Response, Next) error
//
// An error that one of those returns is next(err). A []any stands for the
// layers in it.
type Layer struct {
	name    string
	kind    stamp.LayerKind // 0: by where it is used
	fn      Func
	onError ErrorFunc
}

// Named gives a layer a name.
func Named(name string, fn Func) Layer { return Layer{name: name, fn: fn} }

// NamedError gives an error layer a name.
func NamedError(name string, fn ErrorFunc) Layer { return Layer{name: name, onError: fn} }

// layerOf takes what users pass as a layer. What is none is a mistake in the
// program, found at its start: it panics, as net/http does for patterns.
func layerOf(v any) Layer {
	switch f := v.(type) {
	case Layer:
		return f
	case Func:
		return Layer{name: nameOf(f), fn: f}
	case func(*Request, *Response, Next):
		return Layer{name: nameOf(f), fn: f}
	case func(*Request, *Response):
		return Layer{name: nameOf(f), fn: func(req *Request, res *Response, _ Next) { f(req, res) }}
	case func(*Request, *Response) error:
		return Layer{name: nameOf(f), fn: func(req *Request, res *Response, next Next) {
			if err := f(req, res); err != nil {
				next(err)
			}
		}}
	case func(*Request, *Response, Next) error:
		return Layer{name: nameOf(f), fn: func(req *Request, res *Response, next Next) {
			if err := f(req, res, next); err != nil {
				next(err)
			}
		}}
	case ErrorFunc:
		return Layer{name: nameOf(f), onError: f}
	case func(error, *Request, *Response, Next):
		return Layer{name: nameOf(f), onError: f}
	}
	panic(fmt.Sprintf("app: %T is not a layer", v))
}

// nameOf returns the name of a function without its package, and for a function
// literal the name of the function it stands in.
func nameOf(f any) string {
	name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	if _, rest, ok := strings.Cut(name, "."); ok {
		name = rest
	}
	name = strings.TrimSuffix(name, "-fm") // a method value
	for {
		i := strings.LastIndexByte(name, '.')
		if i < 0 || !literal(name[i+1:]) {
			return name
		}
		name = name[:i]
	}
}

// literal reports whether a part of a function's name is the compiler's for a
// function literal: func1, or 1 for one within another.
func literal(part string) bool {
	part = strings.TrimPrefix(part, "func")
	return part != "" && strings.Trim(part, "0123456789") == ""
}
