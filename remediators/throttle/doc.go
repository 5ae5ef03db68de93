// Package throttle lowers a limit at a target, payouts in a minute for one, and
// lifts it again in steps.
//
// It sets a setting, as package setting does and with the same fence (class A),
// to one of the listed numbers, under rules of its own:
//
//   - Positions are absolute numbers, all at or above a floor above zero. To stop
//     all payouts is another switch, with approval.
//   - A throw only lowers: where the limit found is at or below the wanted one,
//     nothing is written.
//   - What is thrown carries an expiry, which the daemon keeps across its own
//     restarts (Forecast.Expires): then the limit is lifted, or its owner asked.
//   - The undo lifts a limit, so that no pause and no budget holds it. It goes up
//     through the listed positions, one at a time, under one intent, and what was
//     held back does not come all at once.
//
// settings.go is the configuration, spec.go Step.Spec, remediator.go the rules;
// everything at the target is package setting's.
package throttle
