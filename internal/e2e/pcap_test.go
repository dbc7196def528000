// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
)

// packet is one TCP segment as tcpdump saw it.
type packet struct {
	at       int64 // ns since the Unix epoch
	src, dst netip.AddrPort
	seq, ack uint32
	syn, fin bool
	hasAck   bool
	content  uint32 // bytes
}

// readPcap reads a file of tcpdump --time-stamp-precision=nano
// (draft-ietf-opsawg-pcap) with Ethernet frames of TCP over IPv4.
func readPcap(path string) ([]packet, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	const magicNano, ethernet = 0xa1b23c4d, 1
	le := binary.LittleEndian
	if len(b) < 24 || le.Uint32(b) != magicNano || le.Uint32(b[20:])&0xffff != ethernet {
		return nil, fmt.Errorf("%s is not a nanosecond pcap of Ethernet frames", path)
	}
	var out []packet
	for b = b[24:]; len(b) >= 16; {
		at := int64(le.Uint32(b))*1e9 + int64(le.Uint32(b[4:]))
		n := int(le.Uint32(b[8:]))
		if len(b) < 16+n {
			break // the last record was being written
		}
		if p, ok := parseFrame(b[16 : 16+n]); ok {
			p.at = at
			out = append(out, p)
		}
		b = b[16+n:]
	}
	return out, nil
}

func parseFrame(f []byte) (packet, bool) {
	be := binary.BigEndian
	const etherHeader = 14
	if len(f) < etherHeader+20 || be.Uint16(f[12:]) != 0x0800 {
		return packet{}, false
	}
	ip := f[etherHeader:]
	ihl := int(ip[0]&15) * 4
	if ip[9] != 6 || len(ip) < ihl+20 {
		return packet{}, false
	}
	tcp := ip[ihl:]
	src, dst := netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
	return packet{
		src: netip.AddrPortFrom(src, be.Uint16(tcp)), dst: netip.AddrPortFrom(dst, be.Uint16(tcp[2:])),
		seq: be.Uint32(tcp[4:]), ack: be.Uint32(tcp[8:]),
		fin: tcp[13]&1 != 0, syn: tcp[13]&2 != 0, hasAck: tcp[13]&16 != 0,
		content: uint32(be.Uint16(ip[2:])) - uint32(ihl) - uint32(tcp[12]>>4)*4,
	}, true
}

// flow is the segments of one connection, with offsets counted from 0 in each
// direction as lifetrace counts them.
type flow struct {
	syn              int64
	fromClient, sent []segment
}

type segment struct {
	at         int64
	begin, end uint64 // of its content
	acks       uint64 // offset of the other direction
}

// flows takes the connections to a server apart by the client's address.
func flows(ps []packet, server netip.AddrPort) map[netip.AddrPort]*flow {
	type bases struct{ client, server uint32 } // sequence number of offset 0
	base := map[netip.AddrPort]*bases{}
	out := map[netip.AddrPort]*flow{}
	for _, p := range ps {
		switch {
		case p.dst == server && p.syn:
			if out[p.src] == nil { // else the SYN came again
				out[p.src] = &flow{syn: p.at}
				base[p.src] = &bases{client: p.seq + 1}
			}
		case p.src == server && p.syn && base[p.dst] != nil:
			base[p.dst].server = p.seq + 1
		case p.dst == server && out[p.src] != nil:
			b := base[p.src]
			begin := uint64(p.seq - b.client)
			out[p.src].fromClient = append(out[p.src].fromClient, segment{p.at, begin, begin + uint64(p.content), uint64(p.ack - b.server)})
		case p.src == server && out[p.dst] != nil:
			b := base[p.dst]
			begin := uint64(p.seq - b.server)
			out[p.dst].sent = append(out[p.dst].sent, segment{p.at, begin, begin + uint64(p.content), uint64(p.ack - b.client)})
		}
	}
	return out
}
