// SPDX-License-Identifier: Apache-2.0

package app

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// liking is how well the client likes one of the things on offer.
type liking struct {
	quality float64
	close   int // how closely the member that says so describes it
	member  int // its place in the field; -1: not acceptable
	offer   int
}

// Accepts returns the best of some types, given as extensions or types, by the
// Accept field; "" if the client takes none of them.
func (r *Request) Accepts(offers ...string) string {
	return r.best("accept", offers, func(member media, offer string) int {
		offer = mediaType(offer) // "json" is a name for a type
		if offer == "" {
			return -1
		}
		return closeType(member, parseMedia(offer))
	})
}

// AcceptsEncodings returns the best of some content codings by Accept-Encoding;
// "identity" is acceptable unless the field says otherwise.
func (r *Request) AcceptsEncodings(offers ...string) string {
	field := r.Header("accept-encoding")
	members := parseList(field)
	// Without a word about it identity is as good as the least of the others.
	lowest, named := 1.0, false
	for _, m := range members {
		if q := quality(m); q > 0 {
			lowest = min(lowest, q)
		}
		named = named || m.name == "identity" || m.name == "*"
	}
	if !named {
		members = append(members, media{name: "identity", params: [][2]string{{"q", strconv.FormatFloat(lowest, 'f', -1, 64)}}})
	}
	return choose(members, offers, closeToken)
}

// AcceptsCharsets returns the best of some charsets by Accept-Charset.
func (r *Request) AcceptsCharsets(offers ...string) string {
	return r.best("accept-charset", offers, closeToken)
}

// AcceptsLanguages returns the best of some languages by Accept-Language: "en"
// is good for "en-GB" and the other way round.
func (r *Request) AcceptsLanguages(offers ...string) string {
	return r.best("accept-language", offers, func(member media, offer string) int {
		offer = lower(offer)
		main, _, _ := strings.Cut(offer, "-")
		memberMain, _, _ := strings.Cut(member.name, "-")
		switch {
		case member.name == offer:
			return 4
		case memberMain == offer:
			return 2
		case member.name == main:
			return 1
		case member.name == "*":
			return 0
		}
		return -1
	})
}

// Is returns which of some types, extensions and patterns such as "text/*" or
// "+json" the request's content is; "" for none, or without content.
func (r *Request) Is(words ...string) string {
	if !r.hasContent() {
		return ""
	}
	// The word is returned as it was asked for, so that a switch over the answer has
	// the caller's own words; a pattern stands for what it has matched.
	name := parseMedia(r.Header("content-type")).name
	for _, word := range words {
		if !typeMatches(word, name) {
			continue
		}
		if word[0] == '+' || strings.Contains(word, "*") {
			return name
		}
		return word
	}
	return ""
}

// hasContent reports whether the request says that it has content, were it
// none at all.
// Without either field a request has no content (RFC 9112, 6.3), and body layers
// have nothing to do.
func (r *Request) hasContent() bool {
	return r.HasHeader("transfer-encoding") || r.HasHeader("content-length")
}

// best chooses by a field; without it the client takes anything.
func (r *Request) best(field string, offers []string, closeness func(media, string) int) string {
	value := r.Header(field)
	if value == "" && len(offers) > 0 {
		return offers[0]
	}
	return choose(parseList(value), offers, closeness)
}

// choose returns the best offer. For each the member that describes it most
// closely counts; closeness is -1 where a member does not.
// A member that describes an offer more closely decides for it even if it likes it
// less: "text/*, text/html;q=0" is all text but HTML.
func choose(members []media, offers []string, closeness func(media, string) int) string {
	// First what the client says of each offer, then which of them it likes
	// best; of those it likes the same the one that it names first.
	var likings []liking
	for i, offer := range offers {
		best := liking{member: -1, offer: i}
		for j, m := range members {
			l := liking{quality(m), closeness(m, offer), j, i}
			if l.close >= 0 && (l.close > best.close || l.close == best.close && (l.quality > best.quality ||
				l.quality == best.quality && l.member > best.member)) {
				best = l
			}
		}
		// A weight of 0 means that the client does not take it at all.
		if best.quality > 0 {
			likings = append(likings, best)
		}
	}
	if len(likings) == 0 {
		return ""
	}
	best := slices.MinFunc(likings, func(a, b liking) int {
		switch {
		case a.quality != b.quality:
			return int(math.Copysign(1, b.quality-a.quality))
		case a.close != b.close:
			return b.close - a.close
		case a.member != b.member:
			return a.member - b.member
		}
		return a.offer - b.offer
	})
	return offers[best.offer]
}

// closeType says how closely a member of Accept describes a type.
// The bits are those of how much was compared: type, subtype, parameters.
func closeType(member, offer media) int {
	main, sub, _ := strings.Cut(member.name, "/")
	offerMain, offerSub, _ := strings.Cut(offer.name, "/")
	n := 0
	switch main {
	case offerMain:
		n |= 4
	case "*":
	default:
		return -1
	}
	switch sub {
	case offerSub:
		n |= 2
	case "*":
	default:
		return -1
	}
	for _, p := range member.params {
		if p[0] == "q" {
			break // what follows describes the member, not the type
		}
		v, _ := offer.param(p[0])
		if p[1] != "*" && !strings.EqualFold(p[1], v) {
			return -1
		}
		n |= 1
	}
	return n
}

// closeToken says how closely a member describes a coding or a charset.
func closeToken(member media, offer string) int {
	switch {
	case strings.EqualFold(member.name, offer):
		return 1
	case member.name == "*":
		return 0
	}
	return -1
}

// parseList takes a field's members apart.
func parseList(value string) (out []media) {
	for more := value != ""; more; {
		var m string
		m, value, more = cutQuoted(value, ',')
		if p := parseMedia(m); p.name != "" {
			out = append(out, p)
		}
	}
	return out
}

// quality is a member's weight: 1 unless it says otherwise.
func quality(m media) float64 {
	v, ok := m.param("q")
	if !ok {
		return 1
	}
	q, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return 0 // what cannot be read does not ask for anything
	}
	return q
}
