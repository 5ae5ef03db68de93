// Package reach is how remediators reach their targets: connections that are
// kept by what they were made of, the last check before each write, and errors
// that tell what surely had no effect from what may have had one.
//
// An error is a *signalbox.Failure where the target's answer is definite and
// nothing was written, or where nothing left this machine. Any other error of a
// write leaves open what happened. No error holds a secret, or a body that is
// not the target's own words.
package reach
