// Package pagerduty takes PagerDuty's webhooks (V3), by which it tells what
// people do to the incidents of our pages.
//
//	POST, signed -> Verify: one of our secrets signed the raw body
//	             -> Decode: Batch.Words, each with Scope "page/KEY"
//
// Who acknowledges or resolves an incident in PagerDuty has seen its page:
// both stop its escalation. An acknowledgement that is taken back, or whose time
// ran out, is an Unacknowledge, and the page's time begins anew. What a service
// does besides (an event of our own is told as its service's) and every other
// event is accepted and says nothing.
//
// PagerDuty sends a webhook again for 48 hours after a 5xx, a 429 or no answer
// within 5 seconds, drops it after another 4xx, and disables a subscription
// after three of those in a row. So a message that is signed is never refused,
// whatever is in it, and a fault of ours is 503.
//
// The signature has no time: a recorded message can be sent again. A word says
// when it was said (At), is passed over when it is older than PagerDuty's own
// retries, and has the same effect once or twice; so webhooks are not told
// apart by their X-Webhook-Id, which would lose one whose first attempt could
// not be recorded.
//
// See https://developer.pagerduty.com/docs/webhooks-overview.
package pagerduty
