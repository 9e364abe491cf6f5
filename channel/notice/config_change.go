package notice

import (
	"encoding/json"
	"strconv"

	"github.com/tocsin-go/tocsin/event"
)

// changeNotice is about what somebody did with a configuration.
func changeNotice(e event.Event) (Notice, bool) {
	var c event.ConfigChange
	if json.Unmarshal(e.Data(), &c) != nil {
		return Notice{}, false
	}
	n := Notice{Severity: Info, Phase: Standalone}
	channel := name(c.Channel, "a channel")
	who := name(c.Actor, "Somebody")
	done := func(status, title string, summary ...string) {
		n.Status, n.Title, n.Summary = status, title, sentence(append([]string{who}, summary...)...)
	}
	deliveries := "failed notifications"
	if c.Count == 1 {
		deliveries = "failed notification"
	}
	if c.Count > 0 {
		deliveries = strconv.Itoa(c.Count) + " " + deliveries
	}
	switch e.Type() {
	case event.TypeChannelCreated:
		done("Created", phrase("Channel", channel, "was created"), "created", channel)
	case event.TypeChannelUpdated:
		done("Changed", phrase("Channel", channel, "was changed"), "changed", channel)
	case event.TypeChannelDeleted:
		done("Deleted", phrase("Channel", channel, "was deleted"), "deleted", channel, "and what waited for it")
	case event.TypeChannelEnabled:
		done("Enabled", phrase("Channel", channel, "was switched on"), "switched", channel, "on")
	case event.TypeChannelSwitchedOff:
		done("Disabled", phrase("Channel", channel, "was switched off"), "switched", channel, "off")
	case event.TypeChannelPaused:
		done("Paused", phrase("Channel", channel, "was paused"), "paused", channel)
	case event.TypeChannelTested:
		done("Tested", phrase("Channel", channel, "was tested"), "sent a test through", channel)
	case event.TypeSecretRotated:
		done("Rotated", phrase("The signing secret of", channel, "was changed"), "changed the signing secret of", channel)
	case event.TypeConfigImported:
		done("Imported", "The configuration of notifications was replaced", "replaced the configuration of notifications")
	case event.TypeDeadRedelivered:
		done("Queued again", phrase(deliveries, "will be sent again"), "had", deliveries, "queued again")
	case event.TypeDeadDiscarded:
		done("Discarded", phrase(deliveries, "were discarded"), "discarded", deliveries)
	case event.TypeConfigBroken:
		n.Severity, n.Status = Error, "Broken"
		n.Title = "The configuration of notifications cannot be used as a whole"
		n.Summary = withReason("Some notifications wait until it is corrected", line(c.Outcome, maxSummary))
	default:
		return Notice{}, false
	}
	n.add("Channel", c.Channel)
	n.add("By", c.Actor)
	n.addLong("Outcome", c.Outcome)
	n.addLong("Changes", changesOf(c.Changes))
	if c.Revision > 0 {
		n.add("Revision", strconv.FormatInt(c.Revision, 10))
	}
	return n, true
}

// changesOf lists the fields that were changed, one in a line.
func changesOf(all []event.FieldChange) string {
	text := ""
	for _, c := range all {
		switch {
		case c.Before == "":
			text += c.Path + ": " + c.After
		case c.After == "":
			text += c.Path + " is gone: " + c.Before
		default:
			text += c.Path + ": " + c.Before + " → " + c.After
		}
		text += "\n"
	}
	return text
}
