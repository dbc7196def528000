// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"testing"
)

// routes makes a router with n routes and the ones that every application has.
func routes(n int) *table {
	t := &table{}
	for i := range n {
		t.entries = append(t.entries, entry{mounted: &mounted{pattern: compile(fmt.Sprintf("/api/r%d/:id", i), false, false, false)}})
	}
	for i, e := range t.entries {
		t.index.insert(int32(i), e.pattern)
	}
	return t
}

// A look-up tries as many of a thousand routes as of ten.
func TestLookUpTriesFew(t *testing.T) {
	for _, n := range []int{10, 1000} {
		r := routes(n)
		for _, path := range []string{"/api/r0/x", fmt.Sprintf("/API/R%d/x/", n-1)} {
			lists, _ := r.candidates([]byte(path), nil, nil)
			tried := 0
			for i := first(lists, 0); i >= 0; i = first(lists, i+1) {
				tried++
				if _, _, ok := r.entries[i].pattern.match([]byte(path), nil); !ok {
					t.Errorf("%s: tried %s", path, r.entries[i].pattern.text)
				}
			}
			if tried != 1 {
				t.Errorf("%d routes: tried %d for %s", n, tried, path)
			}
		}
	}
}

// BenchmarkLookUp is the cost of finding the last of n routes with its parameter.
func BenchmarkLookUp(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := routes(n)
			path := []byte(fmt.Sprintf("/api/r%d/4711", n-1))
			var lists [][]int32
			var buf []byte
			var params []param
			b.ReportAllocs()
			for b.Loop() {
				lists, buf = r.candidates(path, buf, lists[:0])
				found := first(lists, 0)
				var ok bool
				if params, _, ok = r.entries[found].pattern.match(path, params[:0]); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
