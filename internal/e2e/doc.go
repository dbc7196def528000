// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the whole program: it builds lifetrace, runs it as a user
// would, and holds its timelines against what the client knows, and against
// what tcpdump saw of the same bytes.
package e2e
