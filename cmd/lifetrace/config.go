// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// Config is what the daemon can be told.
type Config struct {
	Listen    string    // the server's address
	Admin     string    // the admin endpoint's address
	App       string    // what the server serves
	Loops     int       // event loops, each on a thread of its own
	Probes    probeMode // whether the kernel's side is traced
	ReadyFile string    // written when everything listens; "" is none
	Slots     int       // connections that can be traced at once
	Window    int       // recent timelines kept in memory
}

// probeMode says whether the daemon traces the kernel's side.
type probeMode string

const (
	probesAuto    probeMode = "auto"    // trace what this host allows, and say what not
	probesRequire probeMode = "require" // all of it or do not start
	probesOff     probeMode = "off"     // server-side marks only
)

func defaultConfig() Config {
	return Config{
		Listen: ":8080",
		Admin:  defaultAdmin,
		App:    "demo",
		Loops:  1,
		Probes: probesAuto,
		Slots:  4096,
		Window: 10_000,
	}
}

// setting is one thing that can be told, by the same name as a flag, in the
// environment (LIFETRACE_READY_FILE) and in a file (ready-file). All three give
// text, so that all three are checked by the same code.
type setting struct {
	name, usage string // usage names the value in backquotes
	get         func(*Config) string
	set         func(*Config, string) error
}

func settings() []setting {
	text := func(name, usage string, at func(*Config) *string, check func(string) error) setting {
		return setting{
			name, usage,
			func(c *Config) string { return *at(c) },
			func(c *Config, v string) error {
				*at(c) = v
				return check(v)
			},
		}
	}
	number := func(name, usage string, at func(*Config) *int, most int) setting {
		return setting{
			name, usage,
			func(c *Config) string { return strconv.Itoa(*at(c)) },
			func(c *Config, v string) error {
				n, err := strconv.Atoi(v)
				if err != nil || n < 1 || n > most {
					return fmt.Errorf("%q is not a whole number from 1 to %d", v, most)
				}
				*at(c) = n
				return nil
			},
		}
	}
	return []setting{
		text("listen", "`ADDR` to serve on", func(c *Config) *string { return &c.Listen }, checkAddr),
		text("admin", "`ADDR` of the admin endpoint", func(c *Config) *string { return &c.Admin }, checkAddr),
		text("app", "`APP` to serve: demo", func(c *Config) *string { return &c.App }, oneOf("demo")),
		number("loops", "run `N` event loops", func(c *Config) *int { return &c.Loops }, 256),
		text("probes", "trace the kernel's side: auto, require or off (`MODE`)",
			func(c *Config) *string { return (*string)(&c.Probes) },
			oneOf(string(probesAuto), string(probesRequire), string(probesOff))),
		text("ready-file", "write `FILE` when everything listens",
			func(c *Config) *string { return &c.ReadyFile }, func(string) error { return nil }),
		number("slots", "trace at most `N` connections at once", func(c *Config) *int { return &c.Slots }, 1<<16),
		number("window", "keep the last `N` timelines in memory", func(c *Config) *int { return &c.Window }, 1_000_000),
	}
}

func checkAddr(v string) error {
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address such as :8080, 127.0.0.1:8080 or [::1]:8080", v)
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("%q is not one of %s", v, strings.Join(words, ", "))
		}
		return nil
	}
}

// envName is the environment variable of a setting.
func envName(name string) string {
	return "LIFETRACE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// addConfigFlags gives a command a flag for each setting, and --config.
func addConfigFlags(c *cobra.Command) {
	d := defaultConfig()
	for _, s := range settings() {
		c.Flags().String(s.name, s.get(&d), s.usage)
	}
	c.Flags().String("config", "", "read settings from a YAML `FILE`")
}

// loadConfig puts the sources together: flags before the environment before
// the file before the defaults. An error says which of them is wrong.
func loadConfig(c *cobra.Command, env func(string) (string, bool)) (Config, error) {
	cfg := defaultConfig()
	path, _ := env(envName("config"))
	if f := c.Flags().Lookup("config"); f.Changed {
		path = f.Value.String()
	}
	if path != "" {
		if err := readConfigFile(&cfg, path); err != nil {
			return Config{}, err
		}
	}
	for _, s := range settings() {
		if v, ok := env(envName(s.name)); ok {
			if err := s.set(&cfg, v); err != nil {
				return Config{}, usageError("%s: %w", envName(s.name), err)
			}
		}
		if f := c.Flags().Lookup(s.name); f.Changed {
			if err := s.set(&cfg, f.Value.String()); err != nil {
				return Config{}, usageError("--%s: %w", s.name, err)
			}
		}
	}
	return cfg, nil
}
