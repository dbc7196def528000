// SPDX-License-Identifier: Apache-2.0

package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxLines is how long a file may be.
const maxLines = 500

// tree is every file of a repository that people wrote: path to content.
type tree map[string][]byte

// readTree reads what the rules look at. Test data is input, not our writing;
// bin holds what make built.
func readTree(t *testing.T, root fs.FS) tree {
	t.Helper()
	files := tree{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == ".git" || base == "bin" || base == "testdata" || base == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		files[name], err = fs.ReadFile(root, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// own reports whether people write a file: not a binary, not generated, not
// kept by a tool.
func (f tree) own(name string) bool {
	b := f[name]
	return !bytes.Contains(b[:min(len(b), 8000)], []byte{0}) && !generated.Match(b) &&
		path.Base(name) != "go.sum" && !strings.HasPrefix(name, "LICENSES/") && name != "LICENSE"
}

// isSource reports whether a file is program text, which carries a licence
// and is kept short.
func isSource(name string) bool {
	switch path.Ext(name) {
	case ".go", ".c", ".h", ".s", ".sh", ".yml", ".yaml", ".service", ".js", ".cjs", ".html", ".css":
		return true
	}
	base := path.Base(name)
	return base == "Makefile" || base == ".clang-format" || strings.HasPrefix(name, ".ci/")
}

// parsed calls f for every Go file that people write, with its syntax.
func (f tree) parsed(visit func(name string, file *ast.File)) (problems []string) {
	for name, b := range f {
		if path.Ext(name) != ".go" || !f.own(name) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, b, parser.ParseComments)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		visit(name, file)
	}
	return problems
}

// licences: every source says its licence near its top: bpf/ is loaded into
// the kernel and so GPL-2.0-only OR BSD-2-Clause, all else is Apache-2.0.
func licences(f tree) (problems []string) {
	for name, b := range f {
		if !isSource(name) || !f.own(name) {
			continue
		}
		want := "SPDX-License-Identifier: Apache-2.0"
		if ext := path.Ext(name); strings.HasPrefix(name, "bpf/") && (ext == ".c" || ext == ".h") {
			want = "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
		}
		lines := bytes.SplitN(b, []byte("\n"), 4)
		head := bytes.Join(lines[:min(len(lines), 3)], []byte("\n"))
		if !bytes.Contains(head, []byte(want)) {
			problems = append(problems, fmt.Sprintf("%s: no %q in its first three lines", name, want))
		}
	}
	return problems
}

// packageComments: each package is introduced once.
func packageComments(f tree) (problems []string) {
	files := map[string][]string{}
	comments := map[string][]string{}
	problems = f.parsed(func(name string, file *ast.File) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		dir := path.Dir(name)
		files[dir] = append(files[dir], name)
		if file.Doc != nil {
			comments[dir] = append(comments[dir], name)
		}
	})
	for dir := range files {
		if n := len(comments[dir]); n != 1 {
			problems = append(problems, fmt.Sprintf("%s: %d package comments, want 1 %v", dir, n, comments[dir]))
		}
	}
	return problems
}

// packageNames: a package is named for what it provides.
func packageNames(f tree) (problems []string) {
	return append(problems, f.parsed(func(name string, file *ast.File) {
		switch strings.TrimSuffix(file.Name.Name, "_test") {
		case "util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "lib":
			problems = append(problems, fmt.Sprintf("%s: package %s says nothing", name, file.Name.Name))
		}
	})...)
}

// inits: nothing happens because a package is imported.
func inits(f tree) (problems []string) {
	return append(problems, f.parsed(func(name string, file *ast.File) {
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				problems = append(problems, name+": has an init function")
			}
		}
	})...)
}

var failedTo = regexp.MustCompile(`(?i)\bfailed to\b`)

// messages: an error names the step; that it failed is what an error means.
func messages(f tree) (problems []string) {
	return append(problems, f.parsed(func(name string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && failedTo.MatchString(lit.Value) {
				problems = append(problems, fmt.Sprintf("%s: says %s", name, lit.Value))
			}
			return true
		})
	})...)
}

// lengths: a file is about one thing.
func lengths(f tree) (problems []string) {
	for name, b := range f {
		if n := bytes.Count(b, []byte("\n")); isSource(name) && f.own(name) && n > maxLines {
			problems = append(problems, fmt.Sprintf("%s: %d lines, at most %d", name, n, maxLines))
		}
	}
	return problems
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// leftovers: what is not done is an issue, not a comment.
func leftovers(f tree) (problems []string) {
	for name, b := range f {
		if m := unfinished.Find(b); m != nil && f.own(name) {
			problems = append(problems, fmt.Sprintf("%s: has a %s", name, m))
		}
	}
	return problems
}
