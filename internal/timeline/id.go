// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/hex"
	"fmt"
)

// String returns the 32 hex digits of an id.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) {
	return hex.AppendEncode(make([]byte, 0, 2*len(id)), id[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It takes exactly 32 hex
// digits of either case.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(id) {
		return fmt.Errorf("timeline id: %d digits, want %d", len(b), 2*len(id))
	}
	var d ID
	if _, err := hex.Decode(d[:], b); err != nil {
		return fmt.Errorf("timeline id: %w", err)
	}
	*id = d
	return nil
}

// ParseID is the inverse of ID.String.
func ParseID(s string) (ID, error) {
	var id ID
	err := id.UnmarshalText([]byte(s))
	return id, err
}
