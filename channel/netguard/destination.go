package netguard

import "strconv"

// Destination returns where a URL as a user writes it leads, in the one form that all ways to write it have in common:
// scheme, host and port as they are dialled (the host in lower case with IDNA's A-labels, the port always named), then
// path and query as they are sent, such as "https://xn--bcher-kva.example:443/events?team=1". Two URLs are one
// destination if and only if these are equal. Never compare the texts instead: "straße.example" and "straẞe.example"
// are equal by case folding and two hosts to DNS.
//
// It is for comparing: path and query may be a credential, so it must not be shown. The error is that of [CheckURL];
// http and every port are accepted here.
func Destination(field, raw string) (string, error) {
	u, err := CheckURL(field, raw, Limits{AllowInsecureHTTP: true})
	if err != nil {
		return "", err
	}
	host := joinHostPort(u.Hostname(), strconv.Itoa(portOf(u.Scheme, u.Port())))
	return u.Scheme + "://" + host + u.RequestURI(), nil
}

// SameDestination reports whether a and b have equal Destinations. A text that is no URL is the same as itself only.
func SameDestination(a, b string) bool {
	if a == b {
		return true
	}
	first, err := Destination("", a)
	if err != nil {
		return false
	}
	second, err := Destination("", b)
	return err == nil && first == second
}
