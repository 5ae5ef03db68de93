package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// clocks repeats the tests of jumps, drift and suspension: the lease's and the
// sources', whose clocks are injected or those of testing/synctest.
func clocks(r *run) outcome {
	return r.tests(10, nil, "-run", "TestLeaseWhileSuspended|TestLeaseUnanswered|TestClockOfASource|TestClockThatWasAhead|TestGuardCooldown|TestGuardBudget",
		"./internal/store/etcd", "./internal/poll", "./policy")
}

// models repeats the property tests, each with many histories.
func models(r *run) outcome {
	return r.tests(1, nil, "-run", "Property|TestStateIsOne|TestArchiveAnyHistory|TestInvariants", "./policy", "./internal/journal", "./internal/setting")
}

// histories has six writers claim and spend through three members, one of which
// is killed and another stands still, and checks that the answers are those of one
// claim and one budget.
func histories(r *run) outcome {
	return r.tests(2, nil, "-run", "TestClaimsAreLinearizable|TestBudgetsAreLinearizable", "./internal/store/etcd")
}

// simulated plays incidents in virtual time, with a seed of its own.
func simulated(r *run) outcome {
	const incidents = 20_000
	env := []string{
		fmt.Sprintf("SIGNALBOX_SEED=%d", r.rng.Uint32()), fmt.Sprintf("SIGNALBOX_INCIDENTS=%d", incidents), "SIGNALBOX_DAYS=18", "GOGC=300",
	}
	o := r.tests(1, env, "-run", "TestNinetyDays", "./test/sim")
	if o.faults > 0 {
		o.faults = incidents
	}
	return o
}

// tests runs tests that stand elsewhere, and counts those that passed.
func (r *run) tests(times int, env []string, args ...string) outcome {
	cmd := exec.Command("go", append([]string{"test", "-json", "-p", "1", "-timeout", "0", fmt.Sprintf("-count=%d", times)}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	said, err := cmd.Output()
	o := outcome{}
	lines := bufio.NewScanner(bytes.NewReader(said))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e struct{ Action, Package, Test string }
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "pass":
			o.faults++
		case "fail":
			o.wrong("%s %s failed", e.Package, e.Test)
		}
	}
	if err != nil && len(o.Wrong) == 0 {
		o.wrong("go test %v: %v", args, err)
	}
	return o
}
