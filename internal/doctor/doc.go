// SPDX-License-Identifier: Apache-2.0

// Package doctor says what this host can trace: not by comparing versions but
// by loading and attaching every hook and looking at what the kernel says.
package doctor
