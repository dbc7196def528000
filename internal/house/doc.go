// SPDX-License-Identifier: Apache-2.0

// Package house holds the house rules, as tests.
//
// A rule is a function over a file tree that returns what breaks it
// (rules_test.go, imports_test.go); house_test.go runs each over this
// repository, and over a tree with a planted offence, since a rule that finds
// nothing proves nothing.
//
// The import rules are not written here: they are read from the table in
// docs/architecture.md, and .golangci.yml must say the same, so that the map, the
// linter and the code cannot drift apart.
package house
