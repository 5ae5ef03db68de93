package pipeline

import (
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	standin "github.com/signalbox/signalbox/test/standin/github"
)

// Smoke tests run at what was deployed.
func TestSmokeOfWhatWasDeployed(t *testing.T) {
	s := onStage(t)
	settings := s.settings()
	settings.Workflow, settings.Ref, settings.RefFrom, settings.Inputs, settings.Stable = "smoke.yml", "", "deploy-prod.yml", nil, nil
	a := s.action(s.step(moveRun, settings))
	_, err := s.r.Start(t.Context(), a)
	must(t, err)
	if made := s.Dispatched(); len(made) != 1 || made[0].Branch != "v1.2" {
		t.Errorf("got %+v", made)
	}
}

func TestCancel(t *testing.T) {
	steps := func(now string) standin.Job {
		return standin.Job{ID: 1, Name: "migrate", Status: "in_progress", Steps: []standin.JobStep{
			{Name: "checkout", Status: "completed", Conclusion: "success"}, {Name: now, Status: "in_progress"}, {Name: "vacuum", Status: "queued"},
		}}
	}
	s := onStage(t)
	step := s.step(moveCancelled, s.settings())
	if f := s.preview(step); !f.Already || f.Refused != "" {
		t.Errorf("nothing under way: got %+v", f)
	}
	s.SetRuns(7, standin.Run{ID: 104, Status: "in_progress", Branch: "main", Created: ago(0)})
	s.SetJobs(104, steps("apply"))
	if f := s.preview(step); !strings.Contains(f.Refused, `step "apply" is in progress`) {
		t.Errorf("within a statement: got %+v", f)
	}
	s.SetJobs(104, steps("backfill"))
	a := s.action(step)
	if want := "done: checkout; in progress: backfill; not begun: vacuum"; !strings.Contains(a.Forecast.NeedsApproval, want) || len(s.Writes()) > 0 {
		t.Errorf("asks %q, writes %q", a.Forecast.NeedsApproval, s.Writes())
	}
	s.SetJobs(104, steps("apply"))
	if _, err := s.r.Start(t.Context(), a); err == nil || len(s.Writes()) > 0 {
		t.Errorf("it was cut off within a statement: %v", err)
	}
	s.SetJobs(104, steps("backfill"))
	receipt, err := s.r.Start(t.Context(), a)
	must(t, err)
	s.probe(a, signalbox.InDoubt, "whether GitHub was asked")
	a.Receipt, a.Stage = receipt, signalbox.Started
	s.probe(a, signalbox.Running, "being cancelled")
	s.Finish(104, "cancelled")
	s.probe(a, signalbox.Succeeded, "was cancelled; done: checkout")
	s.Finish(104, "success")
	s.probe(a, signalbox.Fell, "before it could be cancelled")
	whole := steps("backfill")
	whole.Name = "apply"
	s.SetRuns(7, standin.Run{ID: 104, Status: "in_progress", Branch: "main", Created: ago(0)})
	s.SetJobs(104, whole)
	if f := s.preview(step); !strings.Contains(f.Refused, `job "apply" is in progress`) {
		t.Errorf("within a job that must not be cut off: got %+v", f)
	}
	whole.Status, whole.Conclusion, whole.Steps = "completed", "success", nil
	s.SetJobs(104, whole, standin.Job{ID: 2, Name: "verify", Status: "in_progress"})
	if f := s.preview(step); f.Refused != "" || f.NeedsApproval == "" {
		t.Errorf("after that job: got %+v", f)
	}
	s.SetRuns(7, standin.Run{ID: 104, Status: "queued", Created: ago(0)}, standin.Run{ID: 105, Status: "queued", Created: ago(0)})
	if f := s.preview(step); !strings.Contains(f.Refused, "2 runs are under way") {
		t.Errorf("two under way: got %+v", f)
	}
}
