package netguard

import (
	"net/netip"
	"slices"
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
	// metadata is judged before everything else. Most clouds have theirs at 169.254.169.254 and nowhere else: Azure,
	// Google, DigitalOcean, Hetzner, Vultr, UpCloud, OVH, Exoscale, IBM, Huawei, OpenStack (also at fe80::a9fe:a9fe, which
	// is never allowed). Tencent has 169.254.0.23, Scaleway 169.254.42.42, AWS 169.254.170.2 and .23 for containers.
	// Sources of the others, read 2026-11:
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
	metadata = ranges( //nolint:gochecknoglobals // a read-only table
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

	// embedded are the metadata addresses of IPv4 that are refused as the end of a unique local IPv6 address, too: a
	// network may have its NAT64 prefix (RFC 6052) there, which a guard cannot know.
	embedded = []netip.Addr{ //nolint:gochecknoglobals // a read-only table
		netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("169.254.170.23"),
		netip.MustParseAddr("169.254.0.23"), netip.MustParseAddr("169.254.42.42"), netip.MustParseAddr("100.100.100.200"),
		netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("168.63.129.16"),
	}

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
	uniqueLocal   = netip.MustParsePrefix("fc00::/7")     //nolint:gochecknoglobals // a read-only table
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
	if name, ok := isMetadata(a); ok {
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

// isMetadata reports whether a is an address of a metadata service, and which.
func isMetadata(a netip.Addr) (name string, ok bool) {
	if name, ok := within(metadata, a); ok {
		return name, true
	}
	if !uniqueLocal.Contains(a) {
		return "", false
	}
	b := a.As16()
	return "cloud metadata behind NAT64", slices.Contains(embedded, netip.AddrFrom4([4]byte(b[12:])))
}

// isMetadataName reports whether host is a name of a metadata service. It matters where somebody else resolves the
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
