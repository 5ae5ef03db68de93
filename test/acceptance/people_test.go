package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

// staff gives the daemon the people of the handbook, with their rights, who show
// tokens instead of certificates. The story itself looks as the SRE lead, who may
// do all.
func (b *box) staff() {
	b.t.Helper()
	b.write("people.yaml", clientNames.ReplaceAllString(handbook(b.t, "people.yaml"), "token_file: secrets/token-$1"))
	for _, name := range clientNames.FindAllStringSubmatch(handbook(b.t, "people.yaml"), -1) {
		b.secret("token-"+name[1], "the-token-of-"+name[1])
	}
	b.person = "sre-lead"
}

// domains gives the daemon the primaries of the handbook's five domains.
func (b *box) domains() {
	b.t.Helper()
	owners := "default_owner: devops\nowners:\n"
	for _, o := range [][3]string{
		{"devops", "@sre-lead", devopsKey},
		{"backend", "@be-lead", backendKey},
		{"frontend", "@fe-lead", frontendKey},
		{"payments", "@payments-lead", paymentsKey},
		{"support", "@support-manager", supportKey},
	} {
		b.secret(o[0], o[2])
		owners += fmt.Sprintf("  %s: {primary: %q, escalation: pagerduty, pagerduty: {primary_key_file: secrets/%s, url: %q}}\n", o[0], o[1], o[0], b.pagerURL)
	}
	b.write("owners.yaml", owners)
}

var clientNames = regexp.MustCompile(`client_names: \[([a-z-]+)\]`)

// handbook is a file of the Ops Handbook as configuration.
func handbook(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "handbook", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (b *box) tokenFile(person string) string {
	return filepath.Join(b.config, "secrets", "token-"+person)
}

// bearer is what the story's person shows; empty where there are no people.
func (b *box) bearer() string {
	if b.person == "" {
		return ""
	}
	return "Bearer the-token-of-" + b.person
}

// asks are the requests for approval that wait.
func (b *box) asks() (open []signalbox.Approval) {
	b.t.Helper()
	var all []signalbox.Approval
	if err := json.Unmarshal([]byte(b.must("-o", "json", "approvals")), &all); err != nil {
		b.t.Fatal(err)
	}
	for i := range all {
		if all[i].State == signalbox.Asked {
			open = append(open, all[i])
		}
	}
	return open
}

// approved waits for the request for a step ("statuspage status-database") and
// lets a person approve it with signalboxctl.
func (b *box) approved(person, step string) {
	b.t.Helper()
	b.eventually(person+" to approve "+step, func() error { return b.approve(person, step) })
}

// approve approves the open request for a step, or says why it can't.
func (b *box) approve(person, step string) error {
	b.t.Helper()
	var others []string
	for _, a := range b.asks() {
		line := a.Plan[a.Index]
		if !strings.Contains(line, step) {
			others = append(others, line)
			continue
		}
		if out, code := b.operateAs(person, "approve", "--reason", "seen", string(a.ID)); code != 0 {
			return fmt.Errorf("exit code %d: %s", code, out)
		}
		return nil
	}
	return fmt.Errorf("nobody is asked for %s, but for %q", step, others)
}

// asked wants an open request for a step.
func (b *box) asked(step string) func() error {
	return func() error {
		for _, a := range b.asks() {
			if strings.Contains(a.Plan[a.Index], step) {
				return nil
			}
		}
		return fmt.Errorf("nobody is asked for %s", step)
	}
}

// approveAll lets a person approve whatever is asked.
func (b *box) approveAll(person string) {
	b.t.Helper()
	for _, a := range b.asks() {
		if out, code := b.operateAs(person, "approve", "--reason", "seen", string(a.ID)); code != 0 {
			b.t.Logf("approve %s: exit code %d: %s", a.ID, code, out) // it may have been answered, or be over, meanwhile
		}
	}
}
