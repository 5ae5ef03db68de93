// Package burnrate judges how fast an error budget burns, over pairs of windows
// as the SRE workbook has them (chapter 5, "Alerting on SLOs", multiwindow and
// multi-burn-rate alerts). It is pure, and shared by the kinds of detectors
// whose sources tell how many events were good, or which share.
//
//	Settings   settings.go  what the configuration says: queries, objective, pairs of windows
//	Judge      judge.go     burn rates over the windows to one condition
//	Series     series.go    good, bad and total, joined by their labels, to burn rates
//
// A burn rate of 1 spends the error budget in exactly the time that the
// objective is for; 14.4 over an hour spends 2 % of a 30 days' budget. A pair is
// ill when both its windows burn faster than its bound: the long one shows that
// it matters, the short one that it goes on. It is well when the short one is
// known and one of the two does not, so the loss of one window hides no breach
// that another pair proves, and proves no health.
package burnrate
