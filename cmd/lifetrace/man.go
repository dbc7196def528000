// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man",
		Short:   "Print the manual page",
		Example: "  lifetrace man | man -l -",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), manPage(c.Root()))
			return err
		},
	}
}

// manPage writes a manual page, section 8, from the commands' own help. cobra
// has a generator too, which would bring two more modules into a program that
// runs as root.
func manPage(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH LIFETRACE 8 \"\" %q \"System Administration\"\n", "lifetrace "+version)
	fmt.Fprintf(&b, ".SH NAME\nlifetrace \\- %s\n", roff(root.Short))
	b.WriteString(".SH SYNOPSIS\n.B lifetrace\n.I COMMAND\n[\\fIFLAG\\fR...]\n.SH DESCRIPTION\n")
	b.WriteString(roffBlock(root.Long))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		fmt.Fprintf(&b, ".SS lifetrace %s\n", roff(c.Use))
		long := c.Long
		if long == "" {
			long = c.Short + "."
		}
		b.WriteString(roffBlock(long))
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				writeManFlag(&b, f)
			}
		})
		if c.Example != "" {
			b.WriteString(roffBlock("Examples:\n\n" + c.Example))
		}
	}
	return b.String()
}

func writeManFlag(b *strings.Builder, f *pflag.Flag) {
	metavar, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	fmt.Fprintf(b, ".TP\n\\fB%s\\fR", roff(name))
	if metavar != "" {
		fmt.Fprintf(b, " \\fI%s\\fR", roff(metavar))
	}
	b.WriteString("\n" + roff(usage))
	if f.DefValue != "" && f.DefValue != "false" {
		b.WriteString(" (default " + roff(f.DefValue) + ")")
	}
	b.WriteString("\n")
}

// roffBlock keeps the lines of a text as they are: it is wrapped already, and
// parts of it are commands.
func roffBlock(text string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		b.WriteString(roff(line))
	}
	b.WriteString(".fi\n")
	return b.String()
}

// roff makes text mean itself to roff.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
