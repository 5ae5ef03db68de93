// Package cdn purges what a content delivery network has in its caches: by
// surrogate keys at Fastly; by addresses, tags, hosts or prefixes at Cloudflare.
//
//	tool -> Spec: the vendor, what is purged, where the token's file is
//	Preview: chooses what is purged; sends nothing, since neither vendor can be
//	         asked beforehand
//	Start:   one request, one write
//	Probe:   knows what the receipt says
//
// What is purged stands in the configuration: a list, or lists by the value of
// one label of the incident. The label, which is untrusted, only chooses among
// them; a value that is not listed is refused.
//
// # Class
//
// A purge is of class B without a key: a second one has the effect of the first,
// whenever it comes, so that after a lost answer or a crash it is sent again.
// What repeats is the origin's work of filling the caches, and the vendor's
// count of requests. Nothing tells which purges were done, so that Probe can say
// no more than what Start was answered.
//
// Nothing takes a purge back. That is why everything (purge_all,
// purge_everything) is not offered: it can't be soft at Fastly, and sends all of
// the traffic to the origin in the middle of an incident.
package cdn
