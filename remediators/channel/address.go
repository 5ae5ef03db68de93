package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/signalbox/signalbox/internal/kind"
)

// address is Step.Spec: where an owner is told. Exactly one of Slack and Email
// is there, with absolute paths. It holds no secret.
type address struct {
	Owner string `json:"owner"`
	Slack *Slack `json:"slack,omitempty"`
	Email *Email `json:"email,omitempty"`
}

func spec(in kind.SpecInput) (json.RawMessage, error) {
	a := address{Owner: in.Name}
	switch s := in.Settings.(type) {
	case *Slack:
		own := *s
		a.Slack = &own
	case *Email:
		own := *s
		a.Email = &own
	default:
		return nil, fmt.Errorf("owner %q: its channel must be slack or email", in.Name)
	}
	for _, path := range a.files() {
		if *path == "" || filepath.IsAbs(*path) {
			continue
		}
		whole, err := filepath.Abs(filepath.Join(in.ConfigDir, *path))
		if err != nil {
			return nil, fmt.Errorf("owner %q: channel: %w", in.Name, err)
		}
		*path = whole
	}
	return json.Marshal(a)
}

// files are the paths of the address.
func (a *address) files() []*string {
	if a.Slack != nil {
		return []*string{&a.Slack.WebhookFile, &a.Slack.TokenFile}
	}
	return []*string{&a.Email.PasswordFile, &a.Email.CAFile}
}

// parseAddress reads a Spec, which may be of another version of the daemon.
func parseAddress(spec json.RawMessage) (*address, error) {
	var a address
	if json.Unmarshal(spec, &a) != nil || (a.Slack == nil) == (a.Email == nil) {
		return nil, errors.New("the owner's channel is not what this version writes")
	}
	var wrong error
	fail := func(path, rule string, _ any) {
		if wrong == nil {
			wrong = fmt.Errorf("the owner's channel: %s %s", path, rule)
		}
	}
	if a.Slack != nil {
		a.Slack.Validate(fail)
	} else {
		a.Email.Validate(fail)
	}
	return &a, wrong
}
