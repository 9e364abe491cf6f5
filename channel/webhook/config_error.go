package webhook

// ConfigError says what is wrong with one field of a [Config]. It never holds the field's value.
type ConfigError struct {
	Field   string // for example "URL" or "Headers[3].Name"
	Problem string // what is wrong with it
	Remedy  string // what to do about it
}

// Error returns the field, the problem and the remedy in one line.
func (e *ConfigError) Error() string {
	return "webhook: " + e.Field + " " + e.Problem + "; " + e.Remedy
}
