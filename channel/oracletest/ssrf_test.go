package oracletest

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"code.dny.dev/ssrf"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-go/tocsin/channel/netguard"
)

// pair is a guard and an oracle that are to agree.
type pair struct {
	name   string
	guard  *netguard.Guard
	oracle *ssrf.Guardian
}

func pairs(tb testing.TB) []pair {
	tb.Helper()
	var v4, v6 []netip.Prefix
	for _, p := range netguard.PrivateNetworks().Private {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	shared := netip.MustParsePrefix("100.64.0.0/10")
	return []pair{
		{"public only", guard(tb, netguard.Profile{}), ssrf.New(ssrf.WithAnyPort())},
		{"private", guard(tb, netguard.PrivateNetworks()), ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))},
		{"shared address space", guard(tb, netguard.Profile{Private: []netip.Prefix{shared}}), ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(shared))},
		{"loopback", guard(tb, netguard.Profile{Loopback: true}), ssrf.New(ssrf.WithAnyPort(),
			ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("127.0.0.0/8")), ssrf.WithAllowedV6Prefixes(netip.MustParsePrefix("::1/128")))},
	}
}

func guard(tb testing.TB, p netguard.Profile) *netguard.Guard {
	tb.Helper()
	g, err := netguard.New(p, nil)
	require.NoError(tb, err)
	return g
}

// ours lists the metadata addresses, which we refuse before any allow list and the oracle knows nothing of.
var ours = []netip.Prefix{
	netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("fd20:ce::/32"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("192.0.0.192/32"),
}

// compare fails unless both give the same verdict, or the difference is one of those on purpose.
func compare(tb testing.TB, p pair, a netip.Addr) {
	tb.Helper()
	network := "tcp6"
	if a.Is4() {
		network = "tcp4"
	}
	address := netip.AddrPortFrom(a, 443).String()
	got := p.guard.Control(tb.Context(), network, address, nil) == nil
	// On purpose: an IPv4-mapped address is judged as the IPv4 address that would be connected to; the oracle
	// refuses all.
	if a.Is4In6() {
		network, address = "tcp4", netip.AddrPortFrom(a.Unmap(), 443).String()
		if a.Zone() != "" {
			if got {
				tb.Fatalf("%s: %s passes with a zone", p.name, a)
			}
			return
		}
	}
	want := p.oracle.Safe(network, address, nil) == nil
	for _, m := range ours {
		want = want && !m.Contains(a.Unmap())
	}
	want = want && a.Zone() == "" // a prefix contains no address with a zone, so to the oracle a zone hides a denied one
	if got != want {
		tb.Fatalf("%s: %s: allowed %v, the oracle says %v", p.name, a, got, want)
	}
}

// edges are the first and last addresses of every special range of the oracle and their neighbours.
func edges() []netip.Addr {
	var list []netip.Addr
	prefixes := append(append([]netip.Prefix(nil), ssrf.IPv4DeniedPrefixes...), ssrf.IPv6DeniedPrefixes...)
	prefixes = append(append(prefixes, ssrf.IPv6GlobalUnicast, ssrf.IPv6NAT64Prefix), ours...)
	for _, p := range prefixes {
		first, last := p.Masked().Addr(), lastOf(p)
		for _, a := range []netip.Addr{first, last, first.Prev(), first.Next(), last.Prev(), last.Next()} {
			if a.IsValid() {
				list = append(list, a)
			}
		}
	}
	return list
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func TestS3_S4_S5_S6_GuardAgreesWithSSRF(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	addrs := edges()
	for range 50_000 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], random.Uint64())
		binary.BigEndian.PutUint64(b[8:], random.Uint64())
		addrs = append(addrs, netip.AddrFrom4([4]byte(b[:4])), netip.AddrFrom16(b))
		b[0] = 0x20 | b[0]&0x1F // most are not in the part of IPv6 that is in use
		addrs = append(addrs, netip.AddrFrom16(b))
	}
	allowed := 0
	for _, p := range pairs(t) {
		for _, a := range addrs {
			compare(t, p, a)
			if p.guard.CheckHost(a.String()) == nil {
				allowed++
			}
		}
	}
	require.Greater(t, allowed, 30_000, "the comparison saw addresses that pass")
}

func FuzzGuardAgainstSSRF(f *testing.F) {
	for _, a := range edges() {
		f.Add(a.AsSlice(), "")
	}
	f.Add(netip.MustParseAddr("::ffff:10.0.0.1").AsSlice(), "eth0")
	f.Add(netip.MustParseAddr("fe80::1").AsSlice(), "lo")
	all := pairs(f)
	f.Fuzz(func(t *testing.T, b []byte, zone string) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		for _, p := range all {
			compare(t, p, a)
			if a.Is6() && zone != "" {
				compare(t, p, a.WithZone(zone))
			}
		}
	})
}
