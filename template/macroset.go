package template

import "strings"

// SessionMacros returns the macro names of session events, the form variables of remote-access products, with what they
// stand for: as in the form, timestamp is the time of the event in whole seconds since 1970, and version is 1 unless
// the data has another. The map is the caller's: hosts add their own names to it.
func SessionMacros() map[string]string {
	macros := map[string]string{
		"event": "event_type", "timestamp": "seconds event_time", "version": `default data.version "1"`,
	}
	for _, name := range []string{
		"appliance_id", "lsid", "external_key", "username", "user_id", "display_name", "type", "conference_name",
		"conference_id",
	} {
		macros[name] = "data." + name
	}
	return macros
}

// ApplicationMacros returns the macro names of application-access events, those of endpoint-privilege webhooks, with
// the paths they stand for. The map is the caller's: hosts add their own names to it.
func ApplicationMacros() map[string]string {
	macros := map[string]string{
		"EventType": "event_type",
		"TenantId":  "tenant",
		"Timestamp": "event_time",
		"sha1Hash":  "data.sha1_hash",
	}
	for _, name := range []string{
		"FilePathObjectId", "User", "RequestId", "ApplicationType", "Action", "Workstyle", "Reason", "HostName",
		"trustedOwnership", "ProductDescription", "DriveType", "BtZoneIdentifierExists", "ProductCode", "UpgradeCode",
		"ClsId", "ComDisplayName", "Token", "TokenAssignmentIsShell", "UacTriggered", "DownloadSourceUrl", "UserLanguage",
	} {
		macros[name] = "data." + snakeCase(name)
	}
	return macros
}

func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
