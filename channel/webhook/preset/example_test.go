package preset_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/channel/webhook/preset"
	"github.com/tocsin-go/tocsin/event"
)

// sent sends the event with c and returns what arrives, with a receiver on this machine in place of the product, which
// answers status and, of its response, what presets ask for.
func sent(c webhook.Config, e event.Event, status int) string {
	var arrived bytes.Buffer
	u, _ := url.Parse(c.URL)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(&arrived, r.Method, r.RequestURI)
		body, _ := io.ReadAll(r.Body)
		_ = json.Indent(&arrived, body, "", "  ")
		w.WriteHeader(status)
		for part, answer := range map[string]string{
			"pagerduty": `{"status":"success"}`, "discord": `{"id":"1"}`, "splunk": `{"code":0}`, "datadog": `{"status":"ok"}`,
		} {
			if strings.Contains(u.Host, part) {
				_, _ = io.WriteString(w, answer)
			}
		}
	}))
	defer receiver.Close()
	c.URL = receiver.URL + u.RequestURI()
	c.Limits.AllowInsecureHTTP = true
	c.Guard, _ = netguard.New(netguard.Profile{Loopback: true}, nil)
	hook, err := webhook.New(c)
	if err != nil {
		return err.Error()
	}
	defer hook.Close()
	if _, err := hook.Send(context.Background(), channel.Delivery{Event: e, Route: channel.RouteID{Name: "example"}, Attempt: 1}); err != nil {
		return err.Error()
	}
	return arrived.String()
}

// note is a short event.
func note() event.Event {
	return event.Must(event.SessionStarted{Session: event.Session{LSID: "f3b6", DisplayName: "Priya Nair", ConferenceName: "orders-db-01"}},
		event.Meta{ID: "evt-1", Time: time.Unix(1696263265, 0)})
}

func ExamplePagerDuty() {
	// Beside Order: BySubject and an event filter on the route, this is all.
	fmt.Println(sent(preset.PagerDuty(secret.Literal("R0UT1NGK3Y0123456789ABCDEF012345")), note(), 202))
	// Output:
	// POST /v2/enqueue
	// {
	//   "routing_key": "R0UT1NGK3Y0123456789ABCDEF012345",
	//   "event_action": "trigger",
	//   "dedup_key": "f3b6",
	//   "payload": {
	//     "summary": "Session started: orders-db-01",
	//     "source": "tocsin",
	//     "severity": "info",
	//     "timestamp": "2023-10-02T16:14:25Z",
	//     "class": "session.started",
	//     "custom_details": {
	//       "Summary": "Priya Nair began a session: orders-db-01.",
	//       "Status": "Started",
	//       "Who": "Priya Nair",
	//       "Session": "orders-db-01",
	//       "Session id": "f3b6",
	//       "When": "2023-10-02 16:14 UTC"
	//     }
	//   }
	// }
}

func ExampleSendGrid() {
	from := mail.Address{Name: "Access", Address: "access@example.com"}
	to := mail.Address{Address: "on-call@example.com"}
	fmt.Println(sent(preset.SendGrid(secret.Literal("SG.0123456789.abcdef"), from, to), note(), 202))
	// Output:
	// POST /v3/mail/send
	// {
	//   "personalizations": [
	//     {
	//       "to": [
	//         {
	//           "email": "on-call@example.com"
	//         }
	//       ]
	//     }
	//   ],
	//   "from": {
	//     "email": "access@example.com",
	//     "name": "Access"
	//   },
	//   "subject": "Session started: orders-db-01",
	//   "content": [
	//     {
	//       "type": "text/plain",
	//       "value": "Session started: orders-db-01\n\nPriya Nair began a session: orders-db-01.\n\nWho: Priya Nair\nSession: orders-db-01\nSession id: f3b6\nWhen: 2023-10-02 16:14 UTC\n"
	//     },
	//     {
	//       "type": "text/html",
	//       "value": "<!DOCTYPE html><html><body style=\"font-family:sans-serif\"><h2>Session started: orders-db-01</h2><p>Priya Nair began a session: orders-db-01.</p><table cellpadding=\"4\"><tr><th align=\"left\" valign=\"top\">Who</th><td>Priya Nair</td></tr><tr><th align=\"left\" valign=\"top\">Session</th><td>orders-db-01</td></tr><tr><th align=\"left\" valign=\"top\">Session id</th><td>f3b6</td></tr><tr><th align=\"left\" valign=\"top\">When</th><td>2023-10-02 16:14 UTC</td></tr></table></body></html>"
	//     }
	//   ],
	//   "headers": {
	//     "Auto-Submitted": "auto-generated"
	//   },
	//   "custom_args": {
	//     "delivery_id": "evt-1_50d858e0985ecc7f",
	//     "event_id": "evt-1",
	//     "event_type": "session.started"
	//   },
	//   "tracking_settings": {
	//     "click_tracking": {
	//       "enable": false
	//     },
	//     "open_tracking": {
	//       "enable": false
	//     }
	//   }
	// }
}

func ExampleTeams() {
	fmt.Println(sent(preset.Teams("https://prod-07.westeurope.logic.azure.com/workflows/3f1c/triggers/manual/paths/invoke?sig=abc"), note(), 202))
	// Output:
	// POST /workflows/3f1c/triggers/manual/paths/invoke?sig=abc
	// {
	//   "type": "message",
	//   "attachments": [
	//     {
	//       "contentType": "application/vnd.microsoft.card.adaptive",
	//       "content": {
	//         "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
	//         "type": "AdaptiveCard",
	//         "version": "1.5",
	//         "body": [
	//           {
	//             "type": "RichTextBlock",
	//             "inlines": [
	//               {
	//                 "type": "TextRun",
	//                 "text": "Session started: orders-db-01",
	//                 "size": "Large",
	//                 "weight": "Bolder",
	//                 "color": "Accent"
	//               }
	//             ]
	//           },
	//           {
	//             "type": "RichTextBlock",
	//             "inlines": [
	//               {
	//                 "type": "TextRun",
	//                 "text": "Priya Nair began a session: orders-db-01."
	//               }
	//             ]
	//           },
	//           {
	//             "type": "ColumnSet",
	//             "spacing": "Small",
	//             "columns": [
	//               {
	//                 "type": "Column",
	//                 "width": 1,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "Who",
	//                         "weight": "Bolder"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               },
	//               {
	//                 "type": "Column",
	//                 "width": 3,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "Priya Nair"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               }
	//             ]
	//           },
	//           {
	//             "type": "ColumnSet",
	//             "spacing": "Small",
	//             "columns": [
	//               {
	//                 "type": "Column",
	//                 "width": 1,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "Session",
	//                         "weight": "Bolder"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               },
	//               {
	//                 "type": "Column",
	//                 "width": 3,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "orders-db-01"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               }
	//             ]
	//           },
	//           {
	//             "type": "ColumnSet",
	//             "spacing": "Small",
	//             "columns": [
	//               {
	//                 "type": "Column",
	//                 "width": 1,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "Session id",
	//                         "weight": "Bolder"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               },
	//               {
	//                 "type": "Column",
	//                 "width": 3,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "f3b6"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               }
	//             ]
	//           },
	//           {
	//             "type": "ColumnSet",
	//             "spacing": "Small",
	//             "columns": [
	//               {
	//                 "type": "Column",
	//                 "width": 1,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "When",
	//                         "weight": "Bolder"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               },
	//               {
	//                 "type": "Column",
	//                 "width": 3,
	//                 "items": [
	//                   {
	//                     "type": "RichTextBlock",
	//                     "spacing": "None",
	//                     "inlines": [
	//                       {
	//                         "type": "TextRun",
	//                         "text": "2023-10-02 16:14 UTC"
	//                       }
	//                     ]
	//                   }
	//                 ]
	//               }
	//             ]
	//           }
	//         ]
	//       }
	//     }
	//   ]
	// }
}

func ExampleDiscord() {
	fmt.Println(sent(preset.Discord("https://discord.com/api/webhooks/2237047/token"), note(), 200))
	// Output:
	// POST /api/webhooks/2237047/token?wait=true
	// {
	//   "embeds": [
	//     {
	//       "title": "Session started: orders-db-01",
	//       "description": "Priya Nair began a session: orders-db-01.",
	//       "timestamp": "2023-10-02T16:14:25Z",
	//       "color": 5793266,
	//       "fields": [
	//         {
	//           "name": "Who",
	//           "value": "Priya Nair",
	//           "inline": true
	//         },
	//         {
	//           "name": "Session",
	//           "value": "orders-db-01",
	//           "inline": true
	//         },
	//         {
	//           "name": "Session id",
	//           "value": "f3b6",
	//           "inline": true
	//         },
	//         {
	//           "name": "When",
	//           "value": "2023-10-02 16:14 UTC",
	//           "inline": true
	//         }
	//       ]
	//     }
	//   ],
	//   "allowed_mentions": {
	//     "parse": []
	//   }
	// }
}

func ExampleJira() {
	auth := webhook.Basic("access@example.com", secret.Literal("ATATT3xFfGF0-0123456789"))
	fmt.Println(sent(preset.Jira("https://example.atlassian.net", auth, "PAM", "Task"), note(), 201))
	// Output:
	// POST /rest/api/3/issue
	// {
	//   "fields": {
	//     "project": {
	//       "key": "PAM"
	//     },
	//     "issuetype": {
	//       "name": "Task"
	//     },
	//     "summary": "Session started: orders-db-01",
	//     "description": {
	//       "version": 1,
	//       "type": "doc",
	//       "content": [
	//         {
	//           "type": "paragraph",
	//           "content": [
	//             {
	//               "type": "text",
	//               "text": "Priya Nair began a session: orders-db-01."
	//             }
	//           ]
	//         },
	//         {
	//           "type": "table",
	//           "content": [
	//             {
	//               "type": "tableRow",
	//               "content": [
	//                 {
	//                   "type": "tableHeader",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "Who"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 },
	//                 {
	//                   "type": "tableCell",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "Priya Nair"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 }
	//               ]
	//             },
	//             {
	//               "type": "tableRow",
	//               "content": [
	//                 {
	//                   "type": "tableHeader",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "Session"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 },
	//                 {
	//                   "type": "tableCell",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "orders-db-01"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 }
	//               ]
	//             },
	//             {
	//               "type": "tableRow",
	//               "content": [
	//                 {
	//                   "type": "tableHeader",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "Session id"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 },
	//                 {
	//                   "type": "tableCell",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "f3b6"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 }
	//               ]
	//             },
	//             {
	//               "type": "tableRow",
	//               "content": [
	//                 {
	//                   "type": "tableHeader",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "When"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 },
	//                 {
	//                   "type": "tableCell",
	//                   "content": [
	//                     {
	//                       "type": "paragraph",
	//                       "content": [
	//                         {
	//                           "type": "text",
	//                           "text": "2023-10-02 16:14 UTC"
	//                         }
	//                       ]
	//                     }
	//                   ]
	//                 }
	//               ]
	//             }
	//           ]
	//         }
	//       ]
	//     }
	//   },
	//   "properties": [
	//     {
	//       "key": "tocsin",
	//       "value": {
	//         "delivery_id": "evt-1_50d858e0985ecc7f",
	//         "event_id": "evt-1",
	//         "event_type": "session.started",
	//         "subject": "f3b6"
	//       }
	//     }
	//   ]
	// }
}

func ExampleServiceNow() {
	auth := webhook.Basic("access", secret.Literal("pa55-0123456789"))
	fmt.Println(sent(preset.ServiceNow("https://example.service-now.com", auth), note(), 201))
	// Output:
	// POST /api/now/table/incident?sysparm_fields=sys_id,number
	// {
	//   "short_description": "Session started: orders-db-01",
	//   "description": "Session started: orders-db-01\n\nPriya Nair began a session: orders-db-01.\n\nWho: Priya Nair\nSession: orders-db-01\nSession id: f3b6\nWhen: 2023-10-02 16:14 UTC\n",
	//   "impact": "3",
	//   "urgency": "3",
	//   "correlation_id": "f3b6",
	//   "correlation_display": "session.started"
	// }
}

func ExampleSplunk() {
	c := preset.Splunk("https://splunk.example.com:8088", secret.Literal("B5A79AAD-D822-46CC-80D1-819F80D7BFB0"))
	c.MaxBody = 800_000 // of an older collector
	fmt.Println(sent(c, note(), 200))
	// Output:
	// POST /services/collector/event
	// {
	//   "time": 1696263265.000,
	//   "source": "tocsin",
	//   "sourcetype": "tocsin:event",
	//   "event": {
	//     "id": "evt-1",
	//     "event_type": "session.started",
	//     "event_time": 1696263265.000000000,
	//     "subject": "f3b6",
	//     "data": {
	//       "lsid": "f3b6",
	//       "display_name": "Priya Nair",
	//       "conference_name": "orders-db-01"
	//     }
	//   },
	//   "fields": {
	//     "delivery_id": "evt-1_50d858e0985ecc7f",
	//     "event_type": "session.started",
	//     "severity": "info",
	//     "status": "Started",
	//     "subject": "f3b6",
	//     "title": "Session started: orders-db-01"
	//   }
	// }
}

func ExampleDatadog() {
	c := preset.Datadog(secret.Literal("9775a026f1ca7d1c6c5af9d94d9595a4"))
	c.URL = "https://api.datadoghq.eu/api/v1/events"
	fmt.Println(sent(c, note(), 202))
	// Output:
	// POST /api/v1/events
	// {
	//   "title": "Session started: orders-db-01",
	//   "text": "Session started: orders-db-01\n\nPriya Nair began a session: orders-db-01.\n\nWho: Priya Nair\nSession: orders-db-01\nSession id: f3b6\nWhen: 2023-10-02 16:14 UTC\n",
	//   "alert_type": "info",
	//   "priority": "low",
	//   "aggregation_key": "f3b6",
	//   "tags": [
	//     "event_type:session.started",
	//     "severity:info"
	//   ]
	// }
}
