// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lifetrace/lifetrace/internal/correlate"
	"github.com/lifetrace/lifetrace/internal/probes"
)

// kernelHalf is the probes and their reader. A nil one sees nothing.
type kernelHalf struct {
	probes *probes.Probes
	reader *probes.Reader
}

// openKernel loads the probes as the configuration asks. It returns nil without
// an error where they are off or, with --probes=auto, cannot be had.
func (d *daemon) openKernel(port uint16) (*kernelHalf, error) {
	if d.cfg.Probes == probesOff {
		return nil, nil
	}
	k, err := loadKernel(probes.Options{Port: port, Slots: d.cfg.Slots, Loops: d.cfg.Loops})
	if err == nil {
		for _, h := range k.probes.States() {
			if h.Err != nil {
				d.log("hook %s is not up, lost: %s (%v)", h.Point, h.Without, h.Err)
			}
		}
		return k, nil
	}
	if d.cfg.Probes == probesRequire {
		return nil, preflightError("%w", err)
	}
	d.log("%v; tracing server-side marks only (--probes=off says so on purpose, --probes=require refuses)", err)
	return nil, nil
}

func loadKernel(o probes.Options) (*kernelHalf, error) {
	p, err := probes.Load(o)
	if err != nil {
		return nil, err
	}
	r, err := probes.OpenReader(p.Memory())
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &kernelHalf{p, r}, nil
}

func (k *kernelHalf) close() error {
	err := k.probes.Close() // before the memory that its programs write to
	k.reader.Close()
	return err
}

// support says in the correlator's words what the attached hooks see.
func (k *kernelHalf) support() correlate.Support {
	if k == nil {
		return 0
	}
	var s correlate.Support
	for _, p := range []struct {
		sees probes.Sight
		is   correlate.Support
	}{
		// The SYN is derived where it is not seen.
		{probes.SeesConnection, correlate.Syn},
		{probes.SeesConnection, correlate.AcceptQueue},
		{probes.SeesWakeup, correlate.Wakeup},
		{probes.SeesRunning, correlate.Running},
		{probes.SeesSyscalls, correlate.PollReturn | correlate.Accept},
		{probes.SeesRxReady, correlate.RxReady},
		{probes.SeesRxRead, correlate.RxRead},
		{probes.SeesTxQueued, correlate.TxQueued},
		{probes.SeesTxSent, correlate.TxSent},
		{probes.SeesTxAcked, correlate.TxAcked},
		{probes.SeesConnection, correlate.Resets},
	} {
		if k.probes.Sight()&p.sees != 0 {
			s |= p.is
		}
	}
	if !probes.InInitialPIDNamespace() {
		// The threads' numbers here are not those that the hooks see.
		s &^= correlate.Wakeup | correlate.Running | correlate.PollReturn | correlate.Accept
	}
	return s
}

// summary is one line about the hooks.
func (k *kernelHalf) summary() string {
	if k == nil {
		return "server-side marks only: every kernel span will be unsupported"
	}
	var missing []string
	states := k.probes.States()
	for _, h := range states {
		if h.Err != nil {
			missing = append(missing, h.Point)
		}
	}
	if len(missing) == 0 {
		return fmt.Sprintf("%d of %d kernel hooks attached", len(states), len(states))
	}
	return fmt.Sprintf("%d of %d kernel hooks attached, without %s; see lifetrace doctor",
		len(states)-len(missing), len(states), strings.Join(slices.Compact(missing), ", "))
}

// reachable turns the unspecified address into one that can be typed.
func reachable(a netip.AddrPort) netip.AddrPort {
	if a.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	}
	return a
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
