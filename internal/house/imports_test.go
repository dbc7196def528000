// SPDX-License-Identifier: Apache-2.0

package house

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	module     = "github.com/lifetrace/lifetrace"
	mapFile    = "docs/architecture.md"
	linterFile = ".golangci.yml"
)

// modules are the short names that the table has for modules of others.
var modules = map[string]string{
	"cilium/ebpf":   "github.com/cilium/ebpf",
	"client_golang": "github.com/prometheus/client_golang",
	"x/sys":         "golang.org/x/sys",
}

// row is a row of the table: what a package, and those below it, may import.
type row struct {
	dir   string
	all   bool
	allow []string // import paths; packages below them are allowed too
}

var tableRow = regexp.MustCompile("^\\| `((?:cmd|internal)/[a-z0-9/]+)` \\|.*\\| *([^|]*?) *\\|$")

// table reads the rows from the map. A word it does not know is a problem:
// a rule that is misread would allow everything or nothing.
func table(doc []byte) (rows []row, problems []string) {
	for line := range strings.Lines(string(doc)) {
		m := tableRow.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		r := row{dir: m[1], all: m[2] == "all"}
		for word := range strings.SplitSeq(m[2], ",") {
			word = strings.TrimSpace(word)
			switch {
			case word == "" || r.all:
			case modules[word] != "":
				r.allow = append(r.allow, modules[word])
			case regexp.MustCompile(`^[a-z]+$`).MatchString(word):
				r.allow = append(r.allow, module+"/internal/"+word)
			default:
				problems = append(problems, fmt.Sprintf("%s: row %s: what is %q?", mapFile, r.dir, word))
			}
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		problems = append(problems, mapFile+": no table of packages")
	}
	return rows, problems
}

// within reports whether an import path or directory is root or below it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// imports: packages import what their row allows, and every package has a row.
// Tests may reach for what they need to make input.
func imports(f tree) []string {
	rows, problems := table(f[mapFile])
	return append(problems, f.parsed(func(name string, file *ast.File) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		i := slices.IndexFunc(rows, func(r row) bool { return within(path.Dir(name), r.dir) })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s: no row in %s", name, mapFile))
			return
		}
		r := rows[i]
		for _, imp := range file.Imports {
			p, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: import %s: %v", name, imp.Path.Value, err))
				continue
			}
			std := !strings.Contains(strings.SplitN(p, "/", 2)[0], ".")
			if std || r.all || within(p, module+"/"+r.dir) ||
				slices.ContainsFunc(r.allow, func(a string) bool { return within(p, a) }) {
				continue
			}
			problems = append(problems, fmt.Sprintf("%s: imports %s, which the row of %s does not allow", name, p, r.dir))
		}
	})...)
}

// linter: depguard in .golangci.yml holds the same rules as the table, so that
// an editor shows an offence where it is typed.
func linter(f tree) []string {
	rows, problems := table(f[mapFile])
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						ListMode     string `yaml:"list-mode"`
						Files, Allow []string
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(f[linterFile], &config); err != nil {
		return append(problems, fmt.Sprintf("%s: %v", linterFile, err))
	}
	rules := config.Linters.Settings.Depguard.Rules
	for _, r := range rows {
		if r.all {
			continue
		}
		name := path.Base(r.dir)
		rule, ok := rules[name]
		delete(rules, name)
		allow := append([]string{"$gostd", module + "/" + r.dir}, r.allow...)
		slices.Sort(allow)
		slices.Sort(rule.Allow)
		files := []string{"**/" + r.dir + "/**", "!$test"}
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s: no depguard rule %s", linterFile, name))
		case rule.ListMode != "strict" || !slices.Equal(rule.Files, files):
			problems = append(problems, fmt.Sprintf("%s: depguard rule %s: want list-mode strict and files %q", linterFile, name, files))
		case !slices.Equal(rule.Allow, allow):
			problems = append(problems, fmt.Sprintf("%s: depguard rule %s: allows %q, the map %q", linterFile, name, rule.Allow, allow))
		}
	}
	for name := range rules {
		problems = append(problems, fmt.Sprintf("%s: depguard rule %s is for no row of the map", linterFile, name))
	}
	return problems
}
