// Package announce tells a channel of Slack of an incident: one thread an
// incident, whose first message says at its end how it ended.
//
//	first step of an incident  -> a channel of its own, where one is set; then
//	                              the first message, which begins the thread
//	later steps                -> replies in the thread
//	the incident is over       -> Undo of the first step: the first message is
//	                              put in place (chat.update), and a reply says so
//
// Class C. Slack knows no idempotency key: each message carries our incident,
// tool and action as its metadata, and is read back by it. The time of a
// message, which is its name in Slack, is never kept: it is found again in the
// same way, by whoever leads. The channel of an incident is named after it, so
// that it is made once; it is made before the message that tells of it, and is
// left alone at the end.
//
// What labels hold is untrusted: only listed labels are told, each on one line,
// escaped, and Slack is asked to parse nothing besides.
package announce
