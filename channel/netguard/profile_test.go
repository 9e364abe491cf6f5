package netguard

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

// The profiles an address is judged by, and the letters that stand for them in the table.
func profiles() map[byte]Profile {
	return map[byte]Profile{
		'p': {}, // public only
		'n': PrivateNetworks(),
		'w': {Private: append(PrivateNetworks().Private, netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("64:ff9b::/96"))}, // all that can be opened
		'l': {Loopback: true},
		'm': {DangerouslyAllowMetadata: true},
	}
}

var addressTable = []struct{ addr, allowed string }{
	// Public.
	{"1.1.1.1", "pnwlm"}, {"8.8.8.8", "pnwlm"}, {"9.255.255.255", "pnwlm"}, {"11.0.0.0", "pnwlm"}, {"93.184.216.34", "pnwlm"},
	{"100.63.255.255", "pnwlm"}, {"100.128.0.0", "pnwlm"}, {"126.255.255.255", "pnwlm"}, {"128.0.0.0", "pnwlm"},
	{"168.63.129.15", "pnwlm"}, {"168.63.129.17", "pnwlm"}, {"169.253.255.255", "pnwlm"}, {"169.255.0.0", "pnwlm"},
	{"172.15.255.255", "pnwlm"}, {"172.32.0.0", "pnwlm"}, {"192.0.1.0", "pnwlm"}, {"192.0.3.0", "pnwlm"}, {"192.167.255.255", "pnwlm"},
	{"192.169.0.0", "pnwlm"}, {"198.17.255.255", "pnwlm"}, {"198.20.0.0", "pnwlm"}, {"203.0.112.255", "pnwlm"}, {"203.0.114.0", "pnwlm"},
	{"223.255.255.255", "pnwlm"}, {"1.0.0.0", "pnwlm"},
	{"2001:200::1", "pnwlm"}, {"2001:4860:4860::8888", "pnwlm"}, {"2606:4700:4700::1111", "pnwlm"}, {"2600::", "pnwlm"},
	{"2003::1", "pnwlm"}, {"2400:cb00::1", "pnwlm"}, {"3ffe::1", "pnwlm"}, {"3fff:1000::1", "pnwlm"}, {"2a00:1450::1", "pnwlm"},
	{"::ffff:8.8.8.8", "pnwlm"},
	// Private: opened by prefix.
	{"10.0.0.0", "nw"}, {"10.0.0.1", "nw"}, {"10.255.255.255", "nw"}, {"172.16.0.1", "nw"}, {"172.31.255.255", "nw"},
	{"192.168.0.1", "nw"}, {"192.168.255.255", "nw"}, {"::ffff:10.0.0.1", "nw"}, {"::ffff:c0a8:1", "nw"},
	{"fc00::1", "nw"}, {"fd00::1", "nw"}, {"fd12:3456:789a::1", "nw"}, {"fdff:ffff::1", "nw"},
	{"100.64.0.1", "w"}, {"100.100.100.199", "w"}, {"100.127.255.255", "w"},
	// NAT64 is judged by what is inside.
	{"64:ff9b::8.8.8.8", "w"}, {"64:ff9b::10.0.0.1", "w"}, {"64:ff9b::127.0.0.1", ""}, {"64:ff9b::169.254.169.254", ""},
	{"64:ff9b::100.100.100.200", ""}, {"64:ff9b::224.0.0.1", ""}, {"64:ff9b::", ""}, {"64:ff9b:1::8.8.8.8", ""}, {"64:ff9b:0:1::1", ""},
	// Loopback: opened by its own switch only.
	{"127.0.0.1", "l"}, {"127.0.0.0", "l"}, {"127.255.255.254", "l"}, {"::1", "l"}, {"::ffff:127.0.0.1", "l"},
	// Metadata: judged before everything else.
	{"169.254.169.254", "m"}, {"169.254.170.2", "m"}, {"169.254.170.23", "m"}, {"169.254.0.0", "m"}, {"169.254.255.255", "m"},
	{"100.100.100.200", "m"}, {"192.0.0.192", "m"}, {"168.63.129.16", "m"}, {"fd00:ec2::254", "m"}, {"fd00:ec2::23", "m"},
	{"fd20:ce::254", "m"}, {"::ffff:169.254.169.254", "m"},
	{"169.254.0.23", "m"}, {"169.254.42.42", "m"}, {"fd00:c1::a9fe:a9fe", "m"}, {"fd00:42::42", "m"}, {"fd00:a9fe:a9fe::1", "m"},
	{"fd00:100::100:200", "m"}, {"fd00:64::169.254.169.254", "m"}, {"fdab:cdef::100.100.100.200", "m"}, {"fc00::168.63.129.16", "m"},
	{"fd00:c1::1", "nw"}, {"fd00:42::43", "nw"}, {"fd00:a9fe::1", "nw"}, {"fd00:100::100:201", "nw"}, {"fd00:64::10.0.0.1", "nw"},
	// Never.
	{"0.0.0.0", ""}, {"0.0.0.1", ""}, {"0.255.255.255", ""}, {"192.0.0.0", ""}, {"192.0.0.8", ""}, {"192.0.0.9", ""}, {"192.0.0.170", ""},
	{"192.0.2.1", ""}, {"192.31.196.1", ""}, {"192.52.193.1", ""}, {"192.88.99.1", ""}, {"192.175.48.1", ""}, {"198.18.0.1", ""},
	{"198.19.255.255", ""}, {"198.51.100.1", ""}, {"203.0.113.1", ""}, {"224.0.0.1", ""}, {"239.255.255.255", ""}, {"240.0.0.1", ""},
	{"255.255.255.255", ""}, {"::ffff:0.0.0.0", ""}, {"::ffff:255.255.255.255", ""},
	{"::", ""}, {"::2", ""}, {"::8.8.8.8", ""}, {"::127.0.0.1", ""}, {"::ffff:0:8.8.8.8", ""}, {"100::1", ""}, {"100:0:0:1::1", ""},
	{"2001::1", ""}, {"2001:0:4136:e378:8000:63bf:3fff:fdd2", ""}, {"2001:2::1", ""}, {"2001:10::1", ""}, {"2001:20::1", ""},
	{"2001:1ff:ffff::1", ""}, {"2001:db8::1", ""}, {"2002::1", ""}, {"2002:7f00:1::", ""}, {"2002:a00:1::1", ""}, {"2620:4f:8000::1", ""},
	{"3fff::1", ""}, {"3fff:fff:ffff::1", ""}, {"4000::1", ""}, {"1fff::1", ""}, {"5f00::1", ""}, {"fe00::1", ""}, {"fe80::1", ""},
	{"fe80::a9fe:a9fe", ""}, {"febf::1", ""}, {"fec0::1", ""}, {"feff::1", ""}, {"ff00::1", ""}, {"ff02::1", ""}, {"ffff::1", ""},
	// Scoped.
	{"fe80::1%lo", ""}, {"::1%lo", ""}, {"2600::1%eth0", ""}, {"fd00::1%1", ""}, {"::ffff:8.8.8.8%eth0", ""},
}

func TestS3_S4_S5_S6_Addresses(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(addressTable), 80)
	for letter, profile := range profiles() {
		g, err := New(profile, nil)
		require.NoError(t, err)
		for _, c := range addressTable {
			a := netip.MustParseAddr(c.addr)
			want := strings.IndexByte(c.allowed, letter) >= 0
			network := "tcp4"
			if a.Is6() {
				network = "tcp6"
			}
			got := g.Control(t.Context(), network, netip.AddrPortFrom(a, 443).String(), nil)
			assert.Equal(t, want, got == nil, "%s with profile %s: %v", c.addr, profile, got)
			if got != nil {
				require.ErrorIs(t, got, ErrDestinationBlocked)
			}
			if a.Zone() == "" {
				assert.Equal(t, want, g.CheckHost(c.addr) == nil, "host %s with profile %s", c.addr, profile)
			}
		}
	}
}

// A narrower prefix opens only what is in it, and metadata within it stays refused.
func TestS5_MetadataIsJudgedBeforeTheAllowList(t *testing.T) {
	t.Parallel()
	g, err := New(Profile{Private: []netip.Prefix{
		netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("10.1.2.0/24"),
	}, Loopback: true}, nil)
	require.NoError(t, err)
	for addr, want := range map[string]bool{
		"100.100.100.200:80": false, "[fd00:ec2::254]:80": false, "10.1.2.3:80": true, "10.1.3.0:80": false, "127.0.0.1:80": true, "169.254.169.254:80": false,
	} {
		network := "tcp4"
		if addr[0] == '[' {
			network = "tcp6"
		}
		assert.Equal(t, want, g.Control(t.Context(), network, addr, nil) == nil, addr)
	}
	for _, name := range []string{
		"metadata.google.internal", "Metadata.Google.Internal", "metadata.google.internal.", "instance-data.EU-west-1.compute.internal",
	} {
		require.ErrorIs(t, g.CheckHost(name), ErrDestinationBlocked, name)
		_, err := g.DialContext(t.Context(), "tcp", name+":80")
		require.ErrorIs(t, err, ErrDestinationBlocked, name)
	}
	loud, err := New(Profile{DangerouslyAllowMetadata: true}, nil)
	require.NoError(t, err)
	require.NoError(t, loud.CheckHost("metadata.google.internal"))
	require.ErrorIs(t, loud.CheckHost("127.0.0.1"), ErrDestinationBlocked)
}

// Names that mean this machine have their verdict without being resolved, as whoever resolves them may be a proxy.
func TestS4_NamesOfThisMachine(t *testing.T) {
	t.Parallel()
	private, local := newGuard(t, PrivateNetworks(), nil), newGuard(t, Profile{Loopback: true}, nil)
	for _, name := range []string{"localhost", "LOCALHOST", "localhost.", "a.localhost", "a.b.localhost."} {
		require.ErrorIs(t, private.CheckHost(name), ErrDestinationBlocked, name)
		require.NoError(t, local.CheckHost(name), name)
	}
	for _, name := range []string{"localhost.example", "notlocalhost", "local.host"} {
		require.NoError(t, private.CheckHost(name), name)
	}
}

func TestS4_ProfileErrors(t *testing.T) {
	t.Parallel()
	for prefix, reason := range map[string]string{
		"0.0.0.0/0": "not within a private range", "::/0": "not within", "127.0.0.0/8": "not within", "169.254.0.0/16": "not within",
		"8.8.8.0/24": "not within", "10.0.0.0/7": "not within", "fe80::/10": "not within", "ff00::/8": "not within", "10.0.0.1/8": "bits set",
		"64:ff9b::/48": "not within", "::ffff:10.0.0.0/104": "not within", "172.16.0.0/11": "bits set", "fc00::/6": "not within",
	} {
		_, err := New(Profile{Private: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix(prefix)}}, nil)
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, prefix)
		assert.Equal(t, "Private[1]", e.Path)
		assert.ErrorContains(t, err, reason, prefix)
	}
	_, err := New(Profile{Private: []netip.Prefix{{}}}, nil)
	require.EqualError(t, err, "netguard: Private[0] is not a prefix; write an address and a length, such as 10.1.0.0/16")
	require.NoError(t, Profile{Private: openable()}.Validate(), "each openable range can be opened")
}

func TestProfileString(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	assert.Equal(t, "public", Profile{}.String())
	assert.Equal(t, "public, 10.0.0.0/8, fd00::/8, loopback", Profile{Private: []netip.Prefix{b, a, b}, Loopback: true}.String())
	assert.Equal(t, Profile{Private: []netip.Prefix{a, b}}.String(), Profile{Private: []netip.Prefix{b, a}}.String())
	assert.Equal(t, "public, METADATA", fmt.Sprint(Profile{DangerouslyAllowMetadata: true}))
}

func TestGuardKeepsItsOwnCopyOfTheProfile(t *testing.T) {
	t.Parallel()
	p := PrivateNetworks()
	g, err := New(p, nil)
	require.NoError(t, err)
	p.Private[0] = netip.MustParsePrefix("10.9.0.0/16")
	g.Profile().Private[0] = netip.MustParsePrefix("10.9.0.0/16")
	require.NoError(t, g.CheckHost("10.1.1.1"))
}

// openable are the ranges that a Profile can open.
func openable() []netip.Prefix {
	list := make([]netip.Prefix, len(private))
	for i, r := range private {
		list[i] = r.prefix
	}
	return list
}
