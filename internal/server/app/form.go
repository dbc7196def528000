// SPDX-License-Identifier: Apache-2.0

package app

import (
	"slices"
	"strconv"
	"strings"
)

// maxIndex is the largest index that makes a list of an extended form, so that
// a[1000000]=x costs what one value costs.
const maxIndex = 100

// field is what a form has under a name: values, and forms below it.
type field struct {
	values []any
	names  []string // in the order they came
	below  map[string]*field
}

func (f *field) at(name string) *field {
	if f.below == nil {
		f.below = map[string]*field{}
	}
	b := f.below[name]
	if b == nil {
		b = &field{}
		f.below[name] = b
		f.names = append(f.names, name)
	}
	return b
}

// parseForm reads a form. In an extended one brackets in names make forms in
// forms, and lists where there is an index or nothing in them.
func (o *BodyOptions) parseForm(text string, isLatin1 bool) (map[string]any, error) {
	// Before anything is built: the limit is there to save that.
	if strings.Count(text, "&") >= o.Parameters {
		return nil, typed(413, "parameters.too.many", "too many parameters")
	}
	decode := formText
	if isLatin1 {
		decode = formLatin1
	}
	// A tree first, since a name may come again anywhere in the form, and whether
	// brackets make a list is known only at the end.
	root := &field{}
	for part := range strings.SplitSeq(text, "&") {
		name, value := cutField(part)
		if name = decode(name); name == "" {
			continue // a value of nothing
		}
		at := root
		path := []string{name}
		depth := 0
		if o.Extended {
			if path = brackets(name); name[0] == '[' {
				depth = len(path)
			} else {
				depth = len(path) - 1
			}
		}
		// Depth is refused rather than cut off: a value at the wrong depth
		// would be one that the client did not send.
		if depth > o.Depth {
			return nil, typed(400, "querystring.parse.rangeError", "The input exceeded the depth")
		}
		for _, p := range path {
			at = at.at(p)
		}
		at.values = append(at.values, decode(value))
	}
	out := make(map[string]any, len(root.names))
	for _, name := range root.names {
		out[name] = root.below[name].value()
	}
	return out, nil
}

// cutField takes name=value apart; an equals sign in brackets belongs to the
// name.
func cutField(part string) (name, value string) {
	// Escaped brackets are brackets: browsers escape them, scripts do not.
	if i := strings.Index(part, "]="); i >= 0 {
		return part[:i+1], part[i+2:]
	}
	if i := strings.Index(lower(part), "%5d="); i >= 0 {
		return part[:i+3], part[i+4:]
	}
	name, value, _ = strings.Cut(part, "=")
	return name, value
}

// brackets splits a[b][c] into a, b and c. What stands behind closed brackets and
// opens none does not count; brackets that are not closed are a name.
func brackets(name string) []string {
	open := strings.IndexByte(name, '[')
	if open < 0 {
		return []string{name}
	}
	var path []string
	if open > 0 {
		path = append(path, name[:open])
	}
	for open >= 0 {
		name = name[open:]
		end := closing(name)
		if end < 0 {
			return append(path, name)
		}
		path = append(path, name[1:end])
		name = name[end+1:]
		open = strings.IndexByte(name, '[')
	}
	return path
}

// closing returns where the bracket that a text begins with is closed, -1 if
// nowhere.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// value is the field as users see it.
func (f *field) value() any {
	// Values and brackets under one name are all kept, values first.
	out := f.values
	switch {
	case len(f.names) == 0:
	case f.isList():
		out = append(out, f.list()...)
		return out
	default:
		form := make(map[string]any, len(f.names))
		for _, name := range f.names {
			form[name] = f.below[name].value()
		}
		out = append(out, form)
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

// isList reports whether all that is below has an index or none at all.
func (f *field) isList() bool {
	return !slices.ContainsFunc(f.names, func(name string) bool { return name != "" && index(name) < 0 })
}

// list returns what a list holds: what has an index in its order, and what has
// none after it.
func (f *field) list() (out []any) {
	// Holes are closed: a list of a[5]=x has one value, whatever the client says.
	names := slices.Clone(f.names)
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case a == "":
			return 1
		case b == "":
			return -1
		}
		return index(a) - index(b)
	})
	for _, name := range names {
		if name == "" && len(f.below[name].names) == 0 {
			out = append(out, f.below[name].values...)
			continue
		}
		out = append(out, f.below[name].value())
	}
	return out
}

// index returns the index that a name is, -1 if it is none.
func index(name string) int {
	// Only as JavaScript writes it: 01 and +1 are names.
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 || n > maxIndex || strconv.Itoa(n) != name {
		return -1
	}
	return n
}

// formLatin1 decodes a part of a form whose escapes are of ISO 8859-1.
func formLatin1(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteRune(rune(unhex(s[i+1])<<4 | unhex(s[i+2])))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lowerByte(c) - 'a' + 10
}
