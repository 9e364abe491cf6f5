package secret

import (
	"fmt"
	"io"
	"log/slog"
)

var (
	_ fmt.Formatter  = Value{}
	_ slog.LogValuer = Value{}
)

// String returns [Redacted], or "" when v is not set.
func (v Value) String() string {
	if v.h == nil {
		return ""
	}
	return Redacted
}

// Format writes String for every verb and flag, so that %d, %x and %#v show no more than %v.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, v.String()) }

// LogValue returns String.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText returns String. It is what JSON, XML and YAML encoders write.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalBinary returns String. It is what gob encoders write.
func (v Value) MarshalBinary() ([]byte, error) { return v.MarshalText() }

// UnmarshalText reads a literal. "" is the zero Value, and [Redacted] is [Kept], because that is what a configuration
// that was shown and sent back holds. References to the environment or to files are not read here on purpose: whoever
// writes a configuration must not be able to read the files of the host.
func (v *Value) UnmarshalText(text []byte) error {
	if string(text) == Redacted {
		*v = Kept()
		return nil
	}
	*v = Literal(string(text))
	return nil
}

// UnmarshalBinary is UnmarshalText.
func (v *Value) UnmarshalBinary(data []byte) error { return v.UnmarshalText(data) }
