// Package outward tells others what the daemon does, beside pages: the whole
// audit trail to Loki, and each action as an annotation on the dashboards of
// its detector.
//
// # Nothing waits for it
//
// Nobody calls this package: it reads what the engine has made durable already.
//
//	journal (entries) --> Audit       --> Loki      one at a time, from a mark on
//	store (action/…)  --> Annotations --> Grafana   the newest state of each action
//
// So a server that hangs can't stall the engine, its journal or its archive;
// it only lets what is to be told wait, in bounds. Only the leader tells.
//
// # The queue of the audit trail
//
// What waits for Loki is not held in memory: the journal has it. The queue is
// the part of the journal after the mark, which says up to which entry Loki has
// acknowledged; in memory is one batch of it (at most 500 entries, 512 KiB). The
// queue is bounded: when more than AuditOptions.Queue entries wait, the mark moves
// over the oldest, which are dropped and counted. Entries that were archived
// where this replica can't read them are dropped and counted too.
//
// A batch is sent until Loki has it. Where lines are refused for what they are
// (400 and too old, too far behind or too long; 413), the batch is sent in
// parts, and the lines that are refused alone are dropped and counted. All else
// (no answer, 5xx, 429, 260 of a tenant that is blocked, labels that Loki does
// not take, credentials, a proxy's page) is not the lines' fault: it is tried
// again, with a pause of 1 s that doubles to 1 min.
//
// # No entry twice, over restarts and leaders
//
//   - The mark is durable, in the store, so that the next leader has it. It is
//     put after Loki has acknowledged and before the next batch is sent, under
//     the condition that nobody else has put it: of two that both believe to
//     lead, the second notices.
//   - Between the acknowledgement and the mark the process may die, and an
//     answer may be lost. Then Loki may have the batch or a part of it. So at
//     the begin of a term, and after every error, Loki is first asked, in one
//     bounded query, which of the batch's lines it has, and those are left out.
//     No other lines can be in doubt: the next batch is sent only after the
//     mark.
//   - Timestamp, labels and line of an entry never change: time and bytes are
//     those of the journal. Loki takes an equal line of equal time in the same
//     stream for the same one. That serves where Loki may not be asked.
//
// A line is the entry as the journal stores it, byte for byte, so that the
// hash chain can be verified on what Loki has: each line's prev is the SHA-256
// of the line before. An entry that is longer than Loki's default bound of a
// line (256 KiB) goes without its changes and data, and says so in its
// key cut, which holds its length.
//
// Entries are in the order of the journal. Their times may go back where the
// wall clock did; Loki accepts that for an hour.
//
// # The client
//
// loki-client-go only pushes, in the background, and tells nobody what came of
// it. Its Handle blocks while it sends, for minutes, and for ever after Stop.
// So it is used like this: one batch at a time is handed over, by a goroutine
// of its own; the client tries once (the pauses are ours); and what came of it
// is read off the client's own counters of sent and dropped entries and of
// status codes, which are exact since no other batch is on its way, and off its
// log, which holds the status of a failure. There are no other ways in: its
// transport can't be given. Because the counters are kept by the host of the
// server, a process has one client of a server at a time.
//
// # Secrets
//
// The journal holds none; see there. Errors hold the status of an answer, and
// of its text no more than which of Loki's known reasons for a refusal it has.
//
// # Annotations
//
// They follow the records of actions, not the entries: only the newest state
// of an action counts. Every action that the store has is told at the begin of
// a term, and then whenever its record changes: an annotation has the action's
// id, so that telling again brings the same one up to date. Waiting are at most
// 1,000 actions, each once; the oldest ones beyond are dropped and counted. One
// that fails is tried again for about an hour.
package outward
