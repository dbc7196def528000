// SPDX-License-Identifier: Apache-2.0

// Package demo is an application that can show everything lifetrace diagnoses:
// quick answers, content in pieces, streams with backpressure, a handler that
// blocks the loop, work that does not, and a layer that forgets to go on.
package demo
