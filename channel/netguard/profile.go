package netguard

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// Profile says which addresses may be connected to. The zero Profile is "public only": public unicast addresses, which
// is every IPv4 address outside IANA's special-purpose registry and, of IPv6, 2000::/3 without the special ranges in
// it.
//
// Whatever is opened here, link-local, multicast, unspecified, broadcast, reserved and documentation addresses, IPv6
// transition mechanisms and scoped (zoned) addresses stay refused.
type Profile struct {
	// Private opens private ranges by prefix. Each must lie within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16,
	// 100.64.0.0/10 or fc00::/7, or be 64:ff9b::/96 (NAT64), where the IPv4 address inside is judged as well.
	// Metadata addresses within a prefix stay refused.
	Private []netip.Prefix

	// Loopback opens 127.0.0.0/8 and ::1. It is for tests, and for receivers on the same machine.
	Loopback bool

	// DangerouslyAllowMetadata opens the addresses at which clouds hand credentials to whoever asks: 169.254.0.0/16,
	// 100.100.100.200, 192.0.0.192, 168.63.129.16; in IPv6 fd00:ec2::/32, fd20:ce::/32, fd00:c1::a9fe:0/112, fd00:42::42,
	// fd00:a9fe:a9fe::/64, fd00:100::100:200 and every unique local address that ends with one of the IPv4 ones; and names
	// such as metadata.google.internal. The only proper use is a Guard of its own for a client that fetches the host's own
	// credentials; never set it where a destination can be configured.
	DangerouslyAllowMetadata bool
}

// PrivateNetworks is the profile of an installation on the customer's premises: public addresses and the private ranges
// of RFC 1918 and RFC 4193, without loopback and metadata.
func PrivateNetworks() Profile {
	return Profile{Private: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
	}}
}

// Check validates the prefixes. The error joins a *channel.ConfigError for every problem.
func (p Profile) Check() error {
	var errs []error
	for i, prefix := range p.Private {
		invalid := func(problem, remedy string) {
			errs = append(errs, mistake(channel.CodeInvalid, fmt.Sprintf("Private[%d]", i), problem, remedy))
		}
		switch {
		case !prefix.IsValid():
			invalid("is not a prefix", "write an address and a length, such as 10.1.0.0/16")
		case prefix != prefix.Masked():
			invalid("has bits set behind the prefix length", "write "+prefix.Masked().String())
		case !slices.ContainsFunc(openable(), func(o netip.Prefix) bool { return o.Bits() <= prefix.Bits() && o.Contains(prefix.Addr()) }):
			invalid("is not within a private range", "public addresses are open anyway; loopback and metadata have their own switches")
		}
	}
	return errors.Join(errs...)
}

// String describes the profile in words, for a status page: equal profiles have equal descriptions.
func (p Profile) String() string {
	parts := []string{"public"}
	for _, prefix := range p.Private {
		parts = append(parts, prefix.String())
	}
	slices.Sort(parts[1:])
	parts = slices.Compact(parts)
	if p.Loopback {
		parts = append(parts, "loopback")
	}
	if p.DangerouslyAllowMetadata {
		parts = append(parts, "METADATA")
	}
	return strings.Join(parts, ", ")
}
