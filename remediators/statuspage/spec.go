package statuspage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/telling"
)

// spec is Step.Spec: the tool's settings with absolute paths. It holds no
// secret.
type spec struct {
	Page Page `json:"page"`
	// Ends says that the step resolves the incident.
	Ends bool `json:"ends,omitempty"`
	// Back is, with Ends, what was found of the components that were set: status
	// by id.
	Back map[string]string `json:"back,omitempty"`
}

func resolve(in kind.SpecInput) (json.RawMessage, error) {
	p, ok := in.Settings.(*Page)
	if !ok {
		return nil, fmt.Errorf("tool %q: must be statuspage", in.Name)
	}
	sp, path := spec{Page: *p}, p.TokenFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(in.ConfigDir, path)
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("tool %q: token_file: %w", in.Name, err)
	}
	sp.Page.TokenFile = whole
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
	sp.Page.Validate(func(path, rule string, _ any) {
		if wrong == nil {
			wrong = fmt.Errorf("%s %s", path, rule)
		}
	})
	return &sp, wrong
}

// job is one step on its way to the page.
type job struct {
	*spec
	tool, to, token string
	about           *signalbox.About
}

// open resolves a step. Its error is a *signalbox.Failure.
func (r *remediator) open(s signalbox.Step) (*job, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return nil, reach.Refused("status page %q: %v", s.Name, err)
	}
	j := &job{spec: sp, tool: s.Name, to: s.To, about: s.About}
	if sp.Ends {
		j.to = resolved
	}
	if s.About == nil || s.About.Incident == "" {
		return nil, reach.Refused("status page %q: it is not said which incident it is about", s.Name)
	}
	if sp.Page.text(j.to) == "" || !sp.Ends && j.to == resolved {
		return nil, reach.Refused("status page %q: there is no message for %q", s.Name, j.to)
	}
	if j.token, err = reach.Secret("statuspage API key", sp.Page.TokenFile, ""); err != nil {
		return nil, reach.Refused("status page %q: %v", s.Name, err)
	}
	return j, nil
}

// target is the incident on the page: steps on it go one at a time, and those
// of other incidents beside it.
func (j *job) target() signalbox.Target {
	return signalbox.Target("statuspage " + j.Page.PageID + " " + string(j.about.Incident))
}

// plain takes from a value what a page would take for markup.
var plain = strings.NewReplacer("<", "‹", ">", "›").Replace

// texts are the title and the message of the move.
func (j *job) texts() (name, message string, err error) {
	fill := func(what, text string, most int) string {
		tpl, wrong := telling.Parse(text, j.Page.Labels)
		out := ""
		if wrong == nil {
			out, wrong = tpl.Expand(j.about, plain)
		}
		if wrong != nil && err == nil {
			err = fmt.Errorf("%s can't be filled in: %w", what, wrong)
		}
		return telling.Cut(out, most)
	}
	name = telling.Clean(fill("name", j.Page.Name, mostName), mostName)
	message = fill("the message for "+j.to, j.Page.text(j.to), mostMessage)
	return name, message, err
}
