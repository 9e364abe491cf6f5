package webhook

import (
	"encoding/base64"
	"strings"
	"unicode"
)

// Auth is what a request carries as its Authorization header. The zero value is none. It is printed without its
// credential.
type Auth struct {
	// A function, because the values it has captured are out of the reach of every printer and encoder.
	reveal func() credential
}

type credential struct {
	value   string   // of the Authorization header
	secrets []string // must not come out, besides value
	err     error
}

// Basic is the Basic scheme of RFC 7617. Neither part may hold a control character, and user may not hold a colon.
func Basic(user, password string) Auth {
	return Auth{func() credential {
		switch {
		case strings.Contains(user, ":"):
			return credential{err: &ConfigError{"Auth", "is Basic with a colon in the user name", "correct it"}}
		case strings.ContainsFunc(user+password, unicode.IsControl):
			return credential{err: &ConfigError{"Auth", "is Basic with a control character in it", "remove it, for example a line feed at the end"}}
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		return credential{value: "Basic " + encoded, secrets: []string{encoded, password}}
	}}
}

// Token is sent as it is, for example Token("Bearer abc…"). It must be a valid header value, and not be empty.
func Token(value string) Auth {
	return Auth{func() credential {
		trimmed, problem := headerValue(value)
		if problem == "" && trimmed == "" {
			problem = "is empty"
		}
		if problem != "" {
			return credential{err: &ConfigError{"Auth", "is a Token that " + problem, "correct it, or leave Auth out"}}
		}
		_, parameter, _ := strings.Cut(trimmed, " ") // "Bearer abc": receivers quote "abc" only
		return credential{value: trimmed, secrets: []string{parameter}}
	}}
}

// credential returns what a holds; the zero Auth has an empty one.
func (a Auth) credential() credential {
	if a.reveal == nil {
		return credential{}
	}
	return a.reveal()
}
