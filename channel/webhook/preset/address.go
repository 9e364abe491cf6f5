package preset

import "strings"

// joined is the address of an API below the address of an instance. A query of the instance's own stays, for a gateway
// that wants one, before query; a fragment stays as well, so that webhook.New refuses it. Nothing is parsed and written
// anew, because the address may hold the replacements of webhook.Config.Masks.
func joined(instance, path, query string) string {
	address, fragment, hasFragment := strings.Cut(instance, "#")
	base, own, _ := strings.Cut(address, "?")
	if base = strings.TrimRight(base, "/"); !strings.HasSuffix(base, path) {
		base += path
	}
	if own != "" && query != "" {
		own += "&"
	}
	if own += query; own != "" {
		base += "?" + own
	}
	if hasFragment {
		base += "#" + fragment
	}
	return base
}
