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
	// 100.64.0.0/10 or fc00::/7, or be 64:ff9b::/96 (NAT64), where the IPv4 address inside is checked as well.
	// Metadata addresses within a prefix stay refused.
	Private []netip.Prefix

	// Loopback opens 127.0.0.0/8 and ::1. It is for tests, and for receivers on the same machine.
	Loopback bool

	// DangerouslyAllowMetadata opens the addresses at which clouds hand out credentials without asking for any:
	// 169.254.0.0/16, 100.100.100.200, 192.0.0.192, 168.63.129.16; in IPv6 fd00:ec2::/32, fd20:ce::/32,
	// fd00:c1::a9fe:0/112, fd00:42::42, fd00:a9fe:a9fe::/64, fd00:100::100:200 and every unique local address that ends
	// with one of the IPv4 ones; and names such as metadata.google.internal. The only proper use is a Guard of its own
	// for a client that fetches the host's own credentials; never set it where a destination can be configured.
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

// Validate reports what is wrong with the prefixes. The error joins a *channel.ConfigError for every problem.
func (p Profile) Validate() error {
	var errs []error
	for i, prefix := range p.Private {
		invalid := func(problem, remedy string) {
			errs = append(errs, configError(channel.CodeInvalid, fmt.Sprintf("Private[%d]", i), problem, remedy))
		}
		switch {
		case !prefix.IsValid():
			invalid("is not a prefix", "write an address and a length, such as 10.1.0.0/16")
		case prefix != prefix.Masked():
			invalid("has bits set behind the prefix length", "write "+prefix.Masked().String())
		case !slices.ContainsFunc(private, func(r ipRange) bool { return r.prefix.Bits() <= prefix.Bits() && r.prefix.Contains(prefix.Addr()) }):
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

// ipRange is a range that is not public, and its name in the operator's log.
type ipRange struct {
	prefix netip.Prefix
	name   string
}

func parseRanges(lines ...string) []ipRange {
	list := make([]ipRange, len(lines))
	for i, line := range lines {
		prefix, name, _ := strings.Cut(line, " ")
		list[i] = ipRange{netip.MustParsePrefix(prefix), name}
	}
	return list
}

var (
	// metadata is checked before everything else. Most clouds have theirs at 169.254.169.254 and nowhere else: Azure,
	// Google, DigitalOcean, Hetzner, Vultr, UpCloud, OVH, Exoscale, IBM, Huawei, OpenStack (also at fe80::a9fe:a9fe,
	// which is never allowed). Tencent has 169.254.0.23, Scaleway 169.254.42.42, AWS 169.254.170.2 and .23 for
	// containers. Sources of the others, read 2026-11:
	//   - Alibaba: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata; the IPv6 address as
	//     cloud-init's DataSourceAliYun has it
	//   - Oracle: https://docs.oracle.com/en-us/iaas/Content/Compute/Tasks/gettingmetadata.htm and oci-python-sdk's
	//     instance_principals_security_token_signer.py; 192.0.0.192 is that of Compute Classic
	//   - Azure: https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16
	//   - AWS: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html (::254) and
	//     https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html (::23)
	//   - Google: https://docs.cloud.google.com/compute/docs/metadata/querying-metadata
	//   - Scaleway: scaleway-sdk-go, api/instance/v1/instance_metadata_sdk.go, and cloud-init's DataSourceScaleway
	//   - Akamai (Linode): https://techdocs.akamai.com/cloud-computing/docs/metadata-service-api
	metadata = parseRanges( //nolint:gochecknoglobals // a read-only table
		"169.254.0.0/16 link-local and cloud metadata",
		"100.100.100.200/32 cloud metadata (Alibaba)",
		"192.0.0.192/32 cloud metadata (Oracle)",
		"168.63.129.16/32 cloud metadata (Azure)",
		"fd00:ec2::/32 cloud metadata (AWS)",
		"fd20:ce::/32 cloud metadata (Google)",
		"fd00:c1::a9fe:0/112 cloud metadata (Oracle)",
		"fd00:42::42/128 cloud metadata (Scaleway)",
		"fd00:a9fe:a9fe::/64 cloud metadata (Akamai)",
		"fd00:100::100:200/128 cloud metadata (Alibaba)",
	)

	// metadataIPv4 are the metadata addresses of IPv4 that are refused as the end of a unique local IPv6 address, too:
	// a network may have its NAT64 prefix (RFC 6052) there, which a guard cannot know.
	metadataIPv4 = []netip.Addr{ //nolint:gochecknoglobals // a read-only table
		netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("169.254.170.23"),
		netip.MustParseAddr("169.254.0.23"), netip.MustParseAddr("169.254.42.42"), netip.MustParseAddr("100.100.100.200"),
		netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("168.63.129.16"),
	}

	loopback = parseRanges("127.0.0.0/8 loopback", "::1/128 loopback") //nolint:gochecknoglobals // a read-only table

	// private can be opened by prefix.
	private = parseRanges( //nolint:gochecknoglobals // a read-only table
		"10.0.0.0/8 private",
		"172.16.0.0/12 private",
		"192.168.0.0/16 private",
		"100.64.0.0/10 shared address space",
		"fc00::/7 unique local",
		"64:ff9b::/96 NAT64",
	)

	// alwaysRefused is the rest of https://www.iana.org/assignments/iana-ipv4-special-registry, multicast, and what is
	// special within 2000::/3 (https://www.iana.org/assignments/iana-ipv6-special-registry).
	alwaysRefused = parseRanges( //nolint:gochecknoglobals // a read-only table
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
	uniqueLocal   = netip.MustParsePrefix("fc00::/7")     //nolint:gochecknoglobals // a read-only table
)

func findRange(list []ipRange, a netip.Addr) (name string, ok bool) {
	for _, s := range list {
		if s.prefix.Contains(a) {
			return s.name, true
		}
	}
	return "", false
}

// refuses returns why a may not be connected to, "" if it may.
func (p Profile) refuses(a netip.Addr) string {
	if !a.IsValid() {
		return "not an address"
	}
	// Before the tables: a prefix contains no address with a zone.
	if a.Zone() != "" {
		return "scoped address"
	}
	a = a.Unmap()
	if name, ok := isMetadata(a); ok {
		if p.DangerouslyAllowMetadata {
			return ""
		}
		return name
	}
	if name, ok := findRange(loopback, a); ok {
		if p.Loopback {
			return ""
		}
		return name
	}
	if name, ok := findRange(private, a); ok {
		for _, prefix := range p.Private {
			if !prefix.Contains(a) {
				continue
			}
			if nat64.Contains(a) {
				b := a.As16()
				return p.refuses(netip.AddrFrom4([4]byte(b[12:])))
			}
			return ""
		}
		return name
	}
	if name, ok := findRange(alwaysRefused, a); ok {
		return name
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return "not global unicast"
	}
	return ""
}

// isMetadata reports whether a is an address of a metadata service, and which.
func isMetadata(a netip.Addr) (name string, ok bool) {
	if name, ok := findRange(metadata, a); ok {
		return name, true
	}
	if !uniqueLocal.Contains(a) {
		return "", false
	}
	b := a.As16()
	return "cloud metadata behind NAT64", slices.Contains(metadataIPv4, netip.AddrFrom4([4]byte(b[12:])))
}

// isMetadataName reports whether host is a name of a metadata service. It matters where another machine resolves the
// name, as a proxy does. Sources, read 2026-11: metadata, .google.internal and .goog
// https://docs.cloud.google.com/compute/docs/metadata/querying-metadata, the short one in older samples; instance-data:
// EC2 scripts that predate the address, in the domain of a VPC
// https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html or without it; .tencentyun.com
// https://www.tencentcloud.com/document/product/213/4934; IBM https://cloud.ibm.com/apidocs/vpc-metadata; Exoscale
// https://community.exoscale.com/product/compute/instances/how-to/cloud-init-user-data/; Equinix Metal, whose address
// is public, and Packet, its name before: cloud-init and ignition.
func isMetadataName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.HasPrefix(host, "instance-data.") && strings.HasSuffix(host, ".compute.internal") {
		return true
	}
	switch host {
	case "metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal",
		"metadata.tencentyun.com", "api.metadata.cloud.ibm.com", "metadata.exoscale.com",
		"metadata.platformequinix.com", "metadata.packet.net":
		return true
	}
	return false
}

// isLoopbackName reports whether host is localhost or a name within it, which mean this machine wherever they are
// resolved (RFC 6761, section 6.3): for a proxy, the proxy's.
func isLoopbackName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
