package netguard

import (
	"net/netip"
	"strings"
)

// special is a range that is not public, and what it is called in the operator's log.
type special struct {
	prefix netip.Prefix
	name   string
}

func ranges(lines ...string) []special {
	list := make([]special, len(lines))
	for i, line := range lines {
		prefix, name, _ := strings.Cut(line, " ")
		list[i] = special{netip.MustParsePrefix(prefix), name}
	}
	return list
}

var (
	// metadata is judged before everything else.
	metadata = ranges( //nolint:gochecknoglobals // a read-only table
		"169.254.0.0/16 link-local and cloud metadata",
		"100.100.100.200/32 cloud metadata (Alibaba)",
		"192.0.0.192/32 cloud metadata (Oracle)",
		"168.63.129.16/32 cloud metadata (Azure)",
		"fd00:ec2::/32 cloud metadata (AWS)",
		"fd20:ce::/32 cloud metadata (Google)",
	)

	loopback = ranges("127.0.0.0/8 loopback", "::1/128 loopback") //nolint:gochecknoglobals // a read-only table

	// private can be opened by prefix.
	private = ranges( //nolint:gochecknoglobals // a read-only table
		"10.0.0.0/8 private",
		"172.16.0.0/12 private",
		"192.168.0.0/16 private",
		"100.64.0.0/10 shared address space",
		"fc00::/7 unique local",
		"64:ff9b::/96 NAT64",
	)

	// never is the rest of https://www.iana.org/assignments/iana-ipv4-special-registry, multicast, and what is special
	// within 2000::/3 (https://www.iana.org/assignments/iana-ipv6-special-registry).
	never = ranges( //nolint:gochecknoglobals // a read-only table
		"0.0.0.0/8 this network",
		"192.0.0.0/24 IETF protocol assignments",
		"192.0.2.0/24 documentation",
		"192.31.196.0/24 AS112",
		"192.52.193.0/24 AMT",
		"192.88.99.0/24 6to4 relay",
		"192.175.48.0/24 AS112",
		"198.18.0.0/15 benchmarking",
		"198.51.100.0/24 documentation",
		"203.0.113.0/24 documentation",
		"224.0.0.0/4 multicast",
		"240.0.0.0/4 reserved or broadcast",
		"2001::/23 IETF protocol assignments and Teredo",
		"2001:db8::/32 documentation",
		"2002::/16 6to4",
		"2620:4f:8000::/48 AS112",
		"3fff::/20 documentation",
	)

	globalUnicast = netip.MustParsePrefix("2000::/3")     //nolint:gochecknoglobals // a read-only table
	nat64         = netip.MustParsePrefix("64:ff9b::/96") //nolint:gochecknoglobals // a read-only table
)

func openable() []netip.Prefix {
	list := make([]netip.Prefix, len(private))
	for i, s := range private {
		list[i] = s.prefix
	}
	return list
}

func within(list []special, a netip.Addr) (name string, ok bool) {
	for _, s := range list {
		if s.prefix.Contains(a) {
			return s.name, true
		}
	}
	return "", false
}

// judge returns why a may not be connected to, "" if it may.
func (p Profile) judge(a netip.Addr) string {
	if !a.IsValid() {
		return "not an address"
	}
	// Before the tables: a prefix contains no address with a zone.
	if a.Zone() != "" {
		return "scoped address"
	}
	a = a.Unmap()
	if name, ok := within(metadata, a); ok {
		if p.DangerouslyAllowMetadata {
			return ""
		}
		return name
	}
	if name, ok := within(loopback, a); ok {
		if p.Loopback {
			return ""
		}
		return name
	}
	if name, ok := within(private, a); ok {
		for _, prefix := range p.Private {
			if !prefix.Contains(a) {
				continue
			}
			if nat64.Contains(a) {
				b := a.As16()
				return p.judge(netip.AddrFrom4([4]byte(b[12:])))
			}
			return ""
		}
		return name
	}
	if name, ok := within(never, a); ok {
		return name
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return "not global unicast"
	}
	return ""
}

// isMetadataName reports whether host is a name of a metadata service.
func isMetadataName(host string) bool {
	return strings.EqualFold(strings.TrimSuffix(host, "."), "metadata.google.internal")
}

// isLoopbackName reports whether host is localhost or a name within it, which mean this machine wherever they are resolved
// (RFC 6761, section 6.3): for a proxy, the proxy's.
func isLoopbackName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
