package secret

// ConfigError names what is wrong in a configuration, never a value.
type ConfigError struct{ Field, Reason, Remedy string }

func (e *ConfigError) Error() string { return e.Field + " " + e.Reason + "; " + e.Remedy }
