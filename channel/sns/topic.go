package sns

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// topic is where a channel publishes to.
type topic struct {
	arn    string
	region string
	fifo   bool
}

const fifoSuffix = ".fifo"

// parseTopic reads arn:partition:sns:region:account:name. The region becomes part of a host name and of every
// signature, so nothing but its proper characters may be in it. problem is "" when raw is a topic's ARN.
func parseTopic(raw string) (t topic, problem string) {
	a, err := arn.Parse(raw)
	switch {
	case err != nil:
		return topic{}, "is not an ARN"
	case a.Service != "sns":
		return topic{}, "is not the ARN of an SNS topic"
	case a.Partition != "aws" && !strings.HasPrefix(a.Partition, "aws-"), !isLabel(a.Partition):
		return topic{}, "has a partition that is not aws, aws-cn or the like"
	case !isLabel(a.Region):
		return topic{}, "has a region that is not of lower case letters, digits and hyphens"
	case a.Partition != partition(a.Region):
		return topic{}, "has a partition that is not its region's, which is in " + partition(a.Region)
	case len(a.AccountID) != 12 || strings.Trim(a.AccountID, "0123456789") != "":
		return topic{}, "has an account that is not 12 digits"
	}
	name, fifo := strings.CutSuffix(a.Resource, fifoSuffix)
	if name == "" || len(a.Resource) > 256 || strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' }) {
		return topic{}, "has a name that is not 1 to 256 letters, digits, hyphens and underscores" // CreateTopic, API reference
	}
	return topic{arn: raw, region: a.Region, fifo: fifo}, ""
}

// partition returns the partition that a region is in. A wrong one is never the topic's, and its answers would come
// late and about something else. Source: the SDK's own table, internal/endpoints/awsrulesfn/partitions.json, read
// 2026-11.
func partition(region string) string {
	area, rest, _ := strings.Cut(region, "-")
	place, _, _ := strings.Cut(rest, "-")
	switch area {
	case "cn", "eusc":
		return "aws-" + area
	case "us", "eu":
		switch place {
		case "gov":
			return "aws-us-gov"
		case "iso":
			return "aws-iso"
		case "isob", "isoe", "isof":
			return "aws-iso-" + place[len(place)-1:]
		}
	}
	return "aws"
}

// isLabel tells whether s can be a label of a host name, in lower case, and does not look like anything else.
func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] >= 'a' && s[0] <= 'z' && s[len(s)-1] != '-' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
