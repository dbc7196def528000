// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readConfigFile sets what a YAML file says. A file that cannot be read is a
// failure, one that says something wrong a usage error with its line.
func readConfigFile(cfg *Config, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	if err := parseConfig(cfg, b); err != nil {
		return usageError("config %s: %w", path, err)
	}
	return nil
}

func parseConfig(cfg *Config, b []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil // empty, or nothing but comments
	} else if err != nil {
		return err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document, want one")
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want settings, one 'name: value' a line", top.Line)
	}
	known, names := map[string]setting{}, []string{}
	for _, s := range settings() {
		known[s.name] = s
		names = append(names, s.name)
	}
	seen := map[string]bool{}
	for i := 0; i < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		s, ok := known[key.Value]
		switch {
		case !ok:
			return fmt.Errorf("line %d: unknown key %q; known are %s", key.Line, key.Value, strings.Join(names, ", "))
		case seen[s.name]:
			return fmt.Errorf("line %d: %s is set twice", key.Line, s.name)
		case value.Kind != yaml.ScalarNode || value.Tag == "!!null":
			return fmt.Errorf("line %d: %s: want one value", value.Line, s.name)
		}
		seen[s.name] = true
		if err := s.set(cfg, value.Value); err != nil {
			return fmt.Errorf("line %d: %s: %w", value.Line, s.name, err)
		}
	}
	return nil
}
