// SPDX-License-Identifier: Apache-2.0

// This file lets clock.go declare nanotime without a body.
