// SPDX-License-Identifier: Apache-2.0

package app

import "strings"

// types are the media types of extensions that applications serve; the list is
// kept here so that an answer does not depend on the host's files.
var types = map[string]string{
	"avif": "image/avif", "bin": "application/octet-stream", "bmp": "image/bmp", "cjs": "application/node",
	"css": "text/css", "csv": "text/csv", "doc": "application/msword", "eot": "application/vnd.ms-fontobject",
	"flac": "audio/x-flac", "gif": "image/gif", "gz": "application/gzip", "htm": "text/html", "html": "text/html",
	"ico": "image/vnd.microsoft.icon", "ics": "text/calendar", "jpeg": "image/jpeg", "jpg": "image/jpeg",
	"js": "text/javascript", "json": "application/json", "jsonld": "application/ld+json", "log": "text/plain",
	"m4a": "audio/mp4", "map": "application/json", "markdown": "text/markdown", "md": "text/markdown",
	"mjs": "text/javascript", "mov": "video/quicktime", "mp3": "audio/mpeg", "mp4": "video/mp4", "mpeg": "video/mpeg",
	"oga": "audio/ogg", "ogg": "audio/ogg", "ogv": "video/ogg", "otf": "font/otf", "pdf": "application/pdf",
	"png": "image/png", "rss": "application/rss+xml", "rtf": "application/rtf", "sh": "application/x-sh",
	"svg": "image/svg+xml", "tar": "application/x-tar", "text": "text/plain", "tif": "image/tiff",
	"tiff": "image/tiff", "toml": "application/toml", "ttf": "font/ttf", "txt": "text/plain", "wasm": "application/wasm",
	"wav": "audio/wav", "weba": "audio/webm", "webm": "video/webm", "webmanifest": "application/manifest+json",
	"webp": "image/webp", "woff": "font/woff", "woff2": "font/woff2", "xhtml": "application/xhtml+xml",
	"xml": "text/xml", "yaml": "text/yaml", "yml": "text/yaml", "zip": "application/zip",
}

// mediaType returns what an extension, with or without its dot, names; what has a
// slash is a type already. "" is unknown.
func mediaType(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return types[lower(name[strings.LastIndexByte(name, '.')+1:])]
}

// contentType makes a Content-Type of a type or an extension: text has a
// charset.
func contentType(name string) string {
	t := mediaType(name)
	if t == "" {
		return "application/octet-stream"
	}
	m := parseMedia(t)
	_, has := m.param("charset")
	// JSON is UTF-8 by its own definition; Express says so all the same.
	textual := strings.HasPrefix(m.name, "text/") || m.name == "application/json" || m.name == "application/manifest+json"
	if textual && !has {
		return t + "; charset=utf-8"
	}
	return t
}

// withCharset makes a Content-Type one of UTF-8.
// Text is sent as UTF-8 whatever a layer has claimed, so that is what is said.
func withCharset(t string) string {
	m := parseMedia(t)
	set := false
	for i := range m.params {
		if m.params[i][0] == "charset" {
			m.params[i][1], set = "utf-8", true
		}
	}
	if !set {
		m.params = append(m.params, [2]string{"charset", "utf-8"})
	}
	out := m.name
	for _, p := range m.params {
		out += "; " + p[0] + "=" + quoteUnlessToken(p[1])
	}
	return out
}

func quoteUnlessToken(v string) string {
	if v != "" && strings.Trim(v, "!#$%&'*+.^_`|~-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// media is a member of a field such as Content-Type or Accept: a name in lower
// case and its parameters.
type media struct {
	name   string
	params [][2]string
}

// param returns the value of a parameter with a name in lower case.
func (m *media) param(name string) (value string, ok bool) {
	for _, p := range m.params {
		if p[0] == name {
			return p[1], true
		}
	}
	return "", false
}

// parseMedia takes a member apart, forgivingly: what is malformed is left out.
func parseMedia(s string) media {
	// As content-type 2 does it, which is what Express asks.
	name, rest, more := strings.Cut(s, ";")
	m := media{name: lower(strings.Trim(name, " \t"))}
	for more {
		var p string
		p, rest, more = cutQuoted(rest, ';')
		k, v, ok := strings.Cut(p, "=")
		k, v = lower(strings.Trim(k, " \t")), strings.Trim(v, " \t")
		if _, again := m.param(k); !ok || again {
			continue
		}
		m.params = append(m.params, [2]string{k, unquoted(v)})
	}
	return m
}

// cutQuoted is strings.Cut that passes over what is in quotes.
// A backslash in quotes takes the meaning of what follows it.
func cutQuoted(s string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func unquoted(v string) string {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return v
	}
	v = v[1 : len(v)-1]
	if strings.IndexByte(v, '\\') < 0 {
		return v
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// typeMatches reports whether a media type is one of those that a word names:
// an extension, a type, "text/*", "*/*", "+json", "urlencoded" or "multipart".
func typeMatches(word, name string) bool {
	switch {
	case word == "urlencoded":
		word = "application/x-www-form-urlencoded"
	case word == "multipart":
		word = "multipart/*"
	case strings.HasPrefix(word, "+"):
		word = "*/*" + word
	default:
		word = mediaType(word)
	}
	wantMain, wantSub, ok := strings.Cut(word, "/")
	isMain, isSub, ok2 := strings.Cut(name, "/")
	switch {
	case !ok || !ok2 || isMain == "" || isSub == "" || strings.Contains(isSub, "/"):
		return false
	case wantMain != "*" && wantMain != isMain:
		return false
	case strings.HasPrefix(wantSub, "*+"):
		return strings.HasSuffix(isSub, wantSub[1:])
	}
	return wantSub == "*" || wantSub == isSub
}
