// SPDX-License-Identifier: Apache-2.0

package timeline

import "strconv"

// FormatNS writes a length of time for people: four significant digits and
// the largest unit that keeps at least one digit before the point.
func FormatNS(ns int64) string {
	u, sign := uint64(ns), ""
	if ns < 0 {
		u, sign = -u, "-"
	}
	switch {
	case u < 1e3:
		return sign + strconv.FormatUint(u, 10) + "ns"
	case u < 1e6:
		return sign + digits(float64(u)/1e3) + "us"
	case u < 1e9:
		return sign + digits(float64(u)/1e6) + "ms"
	}
	return sign + digits(float64(u)/1e9) + "s"
}

// digits writes v, at least 1, with four significant digits, or all of those
// before the point if they are more.
func digits(v float64) string {
	prec := 3
	for p := v; p >= 10 && prec > 0; p /= 10 {
		prec--
	}
	return strconv.FormatFloat(v, 'f', prec, 64)
}
