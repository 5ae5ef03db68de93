package acceptance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// The run-book "secret or key leak": the token of a service account stands in a
// log of a real Loki. DevOps is paged, and each step waits for a person: a new
// token is made in a real API server, the old one is revoked only once its
// consumer is seen on the new one, then the sessions end by a Job, and the security
// incident is opened with its postmortem.
func TestRunbookLeak(t *testing.T) {
	t.Parallel()
	l := newLeak(t)
	l.tokenLeaks()
	l.configure(leakPolicy, "approve")
	l.start()
	l.watched()
	l.leaks()
	l.eventually("devops to be paged", l.paged("leak/checkout"))
	l.eventually("what is asked for to name the token by its fingerprint alone", l.asksFor("rotated", leakFingerprint(l.old)))
	l.steadily(time.Second, "nothing is written without a word", l.wrote())

	l.approve("rotated")
	l.eventually("the new token to be made and filled in", l.valid(l.token("ci-token-2")))
	l.eventually("the consumer to be told of", l.explained("still on the old one: deployment deployer (its pod template names secret ci-token)"))
	l.steadily(2*time.Second, "the old one is not revoked before its consumer has left it", l.wrote("create secrets/ci-token-2"))
	l.mustBe(l.valid(l.old)())

	l.nextSecond()
	l.use("ci-token-2")
	l.eventually("the old one to be asked for", l.asksFor("revoked", leakFingerprint(l.old)))
	l.mustBe(l.valid(l.old)())
	l.approve("revoked")
	l.eventually("the old token to be refused by the API server", l.refused(l.old))
	l.mustBe(l.valid(l.token("ci-token-2"))())

	l.approve("job")
	l.approve("security-incident")
	l.eventually("the security incident", l.desk.has("/api/incidents"))
	l.eventually("the incident to end", l.allEnded)
	l.inOrder(
		"signalbox create secrets/ci-token-2", "admin update status of pod 2 of deployer", "admin delete pod 1 of deployer",
		"signalbox delete secrets/ci-token", "signalbox create jobs/auth",
	)
	l.eventually("each to be written once", l.wrote("create secrets/ci-token-2", "delete secrets/ci-token", "create jobs/auth"))
	ticket := l.desk.one("/api/incidents")
	if !ticket.sessionsEnded || !strings.Contains(ticket.body, `"postmortem"`) || !strings.Contains(ticket.body, "checkout") {
		t.Errorf("the security incident: %+v", ticket)
	}
	l.silent(l.old, l.token("ci-token-2"))
}

// The same with the key of a payment provider, sealed in a file: it is applied,
// its consumer is restarted and seen on it, and the old one is revoked at the
// provider, by its id.
func TestRunbookLeakSealed(t *testing.T) {
	t.Parallel()
	l := newLeak(t)
	unsealer := l.sealedLeaks()
	l.configure(sealedPolicy, "approve")
	l.start()
	l.watched()
	l.leaks()
	l.eventually("devops to be paged", l.paged("leak/checkout"))
	l.approve("rotated")
	l.eventually("the new one to be applied", l.wrote("patch sealedsecrets/psp-key"))
	l.steadily(time.Second, "nothing is done before it is unsealed", l.wrote("patch sealedsecrets/psp-key"))
	unsealer.unseal()
	l.nextSecond()
	l.approve("restarted")
	l.approve("seen")
	l.steadily(time.Second, "nothing is revoked at the provider without a word", l.desk.none("/v1/keys/key_4f1c0a/revoke"))
	l.approve("psp-revoke")
	l.approve("job")
	l.approve("security-incident")
	l.eventually("the security incident", l.desk.has("/api/incidents"))
	l.eventually("the incident to end", l.allEnded)
	l.inOrder(
		"signalbox patch sealedsecrets/psp-key", "signalbox patch deployments/payments", "admin update status of pod 2 of payments",
		"admin delete pod 1 of payments", "signalbox create jobs/auth",
	)
	revoked, ticket := l.desk.one("/v1/keys/key_4f1c0a/revoke"), l.desk.one("/api/incidents")
	if !revoked.consumersNew || revoked.sessionsEnded || !ticket.sessionsEnded {
		t.Errorf("at the provider: %+v; the security incident: %+v", revoked, ticket)
	}
	l.silent(l.old, unsealer.next)
}

// A consumer that stays on the old one: that is not revoked, and devops is paged.
func TestRunbookLeakIsHeld(t *testing.T) {
	t.Parallel()
	l := newLeak(t)
	l.tokenLeaks()
	l.within, l.verify = "8s", "25s" // in the handbook two hours, and five
	l.configure(leakPolicy, "approve")
	l.start()
	l.watched()
	l.leaks()
	l.approve("rotated")
	l.eventually("devops to be told that its consumer stays", l.pageSays("leak/checkout", "ci-token to revoked, failed"))
	l.steadily(2*time.Second, "nothing is revoked", l.wrote("create secrets/ci-token-2"))
	l.mustBe(l.valid(l.old)())
	l.silent(l.old)
}

// A person who says no: it is held, and said on the page.
func TestRunbookLeakIsDenied(t *testing.T) {
	t.Parallel()
	l := newLeak(t)
	l.tokenLeaks()
	l.configure(leakPolicy, "approve")
	l.start()
	l.watched()
	l.leaks()
	l.deny("rotated", "the build still runs")
	l.eventually("the page to say who said no", l.pageSays("leak/checkout", "sre-lead", "the build still runs"))
	l.steadily(2*time.Second, "nothing is done", l.wrote())
	l.mustBe(l.valid(l.old)())
	l.mustBe(l.desk.none("/api/incidents")())
	l.silent(l.old)
}

// In shadow it is recorded, and nothing is asked for and written.
func TestRunbookLeakInShadow(t *testing.T) {
	t.Parallel()
	l := newLeak(t)
	l.tokenLeaks()
	l.configure(leakPolicy, "shadow")
	l.start()
	l.watched()
	l.leaks()
	l.eventually("the record of what would be done", l.explained("policy leak only watches; it would say act"))
	l.eventually("devops to be paged", l.paged("leak/checkout"))
	l.steadily(3*time.Second, "nothing is written, asked for or told", func() error {
		if asked := l.approvals(); len(asked) > 0 {
			return fmt.Errorf("asked for: %+v", asked)
		}
		if n := len(l.slack.Messages()) + len(l.desk.requests()); n > 0 {
			return fmt.Errorf("%d messages and requests", n)
		}
		return l.wrote()()
	})
	l.mustBe(l.valid(l.old)())
	l.silent(l.old)
}

// The daemon is killed at some moment of it, while a person approves whatever is
// asked for and moves the consumer: each write is there once, in the same order.
func TestRunbookLeakKilled(t *testing.T) {
	t.Parallel()
	l := newLeak(t)
	l.tokenLeaks()
	l.configure(leakPolicy, "approve")
	l.start()
	l.watched()
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(10 * time.Second))) //nolint:gosec // a moment, no secret
	t.Logf("seed %d: killed %v after the incident was opened", seed, pause)
	l.leaks()
	l.eventually("the incident", func() error { // before, that it was well is not on record
		if len(l.status().Incidents) == 0 {
			return errors.Join(errors.New("no incident is open"), l.live())
		}
		return l.live()
	})
	killed := time.NewTimer(pause)
	defer killed.Stop()
	moved := false
	l.eventually("the moment of the kill", func() error {
		l.goOn(&moved)
		select {
		case <-killed.C:
			return nil
		default:
			return fmt.Errorf("not yet")
		}
	})
	l.kill()
	l.launch()
	l.ready()
	l.eventually("the security incident", func() error {
		l.goOn(&moved)
		return l.desk.has("/api/incidents")()
	})
	l.eventually("the incident to end", l.allEnded)
	l.inOrder("signalbox create secrets/ci-token-2", "admin update status of pod 2 of deployer", "signalbox delete secrets/ci-token", "signalbox create jobs/auth")
	l.steadily(2*time.Second, "each is written once", l.wrote("create secrets/ci-token-2", "delete secrets/ci-token", "create jobs/auth"))
	l.desk.one("/api/incidents")
	l.eventually("the old token to be refused", l.refused(l.old))
	l.silent(l.old, l.token("ci-token-2"))
	l.noneTwice()
	toldOnce(t, l.slack)
}
