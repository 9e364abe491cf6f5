// Package sns delivers events to a topic of Amazon Simple Notification Service, standard or FIFO.
//
// One Send is one Publish request, signed with Signature Version 4, over a connection that a netguard.Guard has judged;
// the SDK's own retries are switched off. The credentials are another matter: the SDK's default chain fetches them with
// the SDK's own HTTP client, which no Guard judges, because it has to reach 169.254.169.254 and its like. Nothing but
// credentials is asked for there, and nothing that a Config can say changes where.
//
// # What subscribers get
//
// The message is the event's JSON form, or what Config.Body makes. Texts are cut when it would be larger than SNS
// allows, and the JSON form lists them under "shortened". Beside it there are message attributes of type String, for
// the filter policies of subscriptions:
//
//	delivery_id  channel.Delivery.ID: the same for all attempts, so that subscribers can drop repetitions
//	event_type   for example "request.approved"
//	severity     info, warning, error or critical, as package notice sees it
//	tenant       left out when the event has none
//	subject      the same; also left out for a test event
//	route        left out when it has no name
//	test         "true" for a test event (event.Event.IsTest), left out otherwise
//
// and those of Config.Attributes. There are at most 10 in all, because SNS discards a message with more for
// subscriptions of SQS queues with raw message delivery (Amazon SNS Developer Guide, "Amazon SNS message attributes").
//
// # FIFO topics
//
// A topic whose name ends in .fifo gets a MessageGroupId, which orders messages, see Config.Group, and a
// MessageDeduplicationId made of the delivery's id. SNS drops a message whose id it has seen in the last five minutes,
// so a retry after a lost answer is delivered once if it comes within them. A redelivery on purpose has another id. SNS
// keeps the order in which messages come: for that to be the order of events, the route has to be ordered by subject or
// strictly.
//
// A channel remembers nothing from one attempt to the next that a later one needs: both ids are made of the delivery
// alone. So any queue and any number of worker processes give the same result. Subscribers of a standard topic get a
// message again after a lost answer; delivery_id shows it.
//
// # Permissions
//
// The credentials need sns:Publish on the topic and, for Check alone, sns:GetTopicAttributes:
//
//	{
//	  "Version": "2012-10-17",
//	  "Statement": [{
//	    "Effect": "Allow",
//	    "Action": ["sns:Publish", "sns:GetTopicAttributes"],
//	    "Resource": "arn:aws:sns:eu-west-1:123456789012:access-events"
//	  }]
//	}
//
// A topic encrypted with a KMS key of one's own needs kms:GenerateDataKey and kms:Decrypt on that key as well.
package sns
