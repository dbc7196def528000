// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"

	"github.com/lifetrace/lifetrace/internal/doctor"
)

// runDoctor examines this host and writes what it found.
func runDoctor(w io.Writer, asJSON bool) error {
	r := doctor.Examine()
	var err error
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		err = r.WriteText(w)
	}
	if err == nil && !r.Able {
		err = preflightError("%s", r.Reason)
	}
	return err
}
