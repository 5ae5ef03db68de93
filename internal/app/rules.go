package app

import (
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/rules"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
)

// ruleFormat is how the configuration reads rule files.
func ruleFormat() *config.Rules {
	return &config.Rules{Sources: []string{"prometheus"}, Read: func(file string, text []byte) ([]config.Rule, []config.RuleProblem) {
		placed, problems := rules.Read(file, text)
		out := make([]config.Rule, len(placed))
		for i, p := range placed {
			out[i] = configRule(p)
		}
		told := make([]config.RuleProblem, len(problems))
		for i, p := range problems {
			told[i] = config.RuleProblem{Line: p.Line, Where: p.Where, Rule: p.Rule}
		}
		return out, told
	}}
}

func configRule(p rules.Placed) config.Rule {
	return config.Rule{
		Group: p.Group, Alert: p.Alert, Line: p.Line, Interval: p.Interval, Labels: p.Labels,
		Detector: func(use config.RuleUse) kind.DetectorSettings {
			s := &rules.Settings{Rule: p.Rule, ExternalLabels: use.ExternalLabels, ExternalURL: use.ExternalURL}
			if v := use.Verifier; v != nil {
				s.Verifier = &rules.Verifier{Common: v.Common, Settings: v.Settings}
			}
			return s
		},
	}
}

// asRule lets a rule's detector ask as Prometheus evaluates its group. The
// judge of an unchanged rule is kept over a reload, with what it remembers.
func (b *builder) asRule(p *poll.Detector, source signalbox.Source) {
	judge, ok := p.Detector.(*rules.Detector)
	if !ok {
		return
	}
	if why := judge.Unproved(); why != "" {
		b.unproved = append(b.unproved, p.Name)
	}
	if old := b.kept[p.Name]; old.Hash == p.Hash && old.Source == p.Source {
		if was, is := old.Detector.(*rules.Detector); is && was.Origin() == judge.Origin() {
			judge = was
		}
	}
	p.Detector, p.Group, p.Asks = judge, judge.Group(), &rules.Clock{Source: source, Grid: judge.Grid()}
}

// keptRules are the detectors that run now, by name.
func (d *daemon) keptRules() map[string]poll.Detector {
	kept := map[string]poll.Detector{}
	if rt := d.current(); rt != nil {
		for _, p := range rt.polled {
			kept[p.Name] = p
		}
	}
	return kept
}

// sayUnproved tells once which rules can never be seen to be well.
func (b *builder) sayUnproved() error {
	if len(b.unproved) > 0 {
		const most = 20
		b.d.log.Info("nothing proves these rules' health: once they have fired, an empty answer is Unknown; name a verifier for them",
			"rules", b.unproved[:min(most, len(b.unproved))], "count", len(b.unproved))
	}
	return nil
}
