// SPDX-License-Identifier: Apache-2.0

// Package window keeps timelines in memory: the most recent ones, and the
// slowest ones of every route and of all.
//
// The slowest are kept apart because they are what people look for and what a
// busy server pushes out of any list of the most recent within a second. Both
// are bounded in number and in bytes, and each eviction is counted.
//
// The filters that the admin endpoint and the command line share are here too
// (filter.go), so that both understand the same words and refuse the same
// mistakes.
package window
