// Package channel tells an owner by a second channel, Slack or mail, what the
// pager would not take. It is a pager (kind.Pager), and no step of a runbook.
//
//	owner's channel -> Spec: where the secrets are, never a secret itself
//	Page(spec, key, event, body) -> title and text: only the fields of PageBody
//	                             -> slack: an incoming webhook, or chat.postMessage
//	                             -> mail:  SMTP, one message to each address
//	                             -> nil | *Failure | *RetryAfter | another error: try again later
//
// Neither channel knows a key under which a message is one with another: after
// a lost answer it may come twice. A mail that is sent again has the same
// Message-ID, by which many mailboxes show it once.
//
// What labels and other foreign text hold can't mention anybody, make a link or
// add a header: in Slack &, < and > are escaped and nothing is parsed besides;
// control characters are spaces in both.
package channel
