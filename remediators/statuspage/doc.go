// Package statuspage tells the public of an incident, on an Atlassian
// Statuspage.
//
//	no incident of ours on the page -> POST one: name, message, status, impact, and
//	                                   the components that are better than set
//	one is there                    -> PATCH its status and message
//	the incident is over            -> Undo of the step that made it: PATCH to resolved,
//	                                   and those components that are still as we set
//	                                   them back to what was found
//
// Class C. The API knows no idempotency key: the incident carries ours, with
// the actions that made and changed it, as its metadata
// (metadata.signalbox.action), and is read back by them.
//
// What a person did is left alone: a component that is worse already, or was
// changed since; an incident that was moved on, or resolved; and where an open
// incident of somebody else names the same components, none is added.
package statuspage
