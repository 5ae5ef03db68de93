package announce

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/slack"
)

// spec is Step.Spec: the tool's settings with absolute paths. It holds no
// secret.
type spec struct {
	Slack Slack `json:"slack"`
	// Ends says that the step brings the thread to its end.
	Ends bool `json:"ends,omitempty"`
}

func resolve(in kind.SpecInput) (json.RawMessage, error) {
	s, ok := in.Settings.(*Slack)
	if !ok {
		return nil, fmt.Errorf("tool %q: must be slack", in.Name)
	}
	sp := spec{Slack: *s}
	path := s.TokenFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(in.ConfigDir, path)
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("tool %q: token_file: %w", in.Name, err)
	}
	sp.Slack.TokenFile = whole
	return json.Marshal(sp)
}

// parseSpec reads a Spec, which may be of another version of the daemon.
func parseSpec(raw json.RawMessage) (*spec, error) {
	var sp spec
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&sp); err != nil {
		return nil, errors.New("its settings are not what this version writes")
	}
	var wrong error
	sp.Slack.Validate(func(path, rule string, _ any) {
		if wrong == nil {
			wrong = fmt.Errorf("%s %s", path, rule)
		}
	})
	return &sp, wrong
}

// job is one step on its way to Slack.
type job struct {
	*spec
	tool  string
	about *signalbox.About
	api   slack.API
}

// open resolves a step. Its error is a *signalbox.Failure.
func (r *remediator) open(s signalbox.Step) (*job, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("announcement %q: %v", s.Name, err)
	}
	if s.About == nil || s.About.Incident == "" {
		return nil, reach.Refused("announcement %q: it is not said which incident it is about", s.Name)
	}
	token, err := reach.Secret("slack token", sp.Slack.TokenFile, "")
	if err != nil {
		return nil, reach.Refused("announcement %q: %v", s.Name, err)
	}
	return &job{spec: sp, tool: s.Name, about: s.About, api: slack.API{URL: sp.Slack.APIURL, Token: token}}, nil
}

// targetOf is the thread of an incident in a channel: steps on it go one at a
// time, and those of other incidents beside it.
func (j *job) target() signalbox.Target {
	return signalbox.Target("slack " + j.Slack.ChannelID + " " + string(j.about.Incident))
}
