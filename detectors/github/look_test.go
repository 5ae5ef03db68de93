package github

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/github"
)

func TestLook(t *testing.T) {
	now := moment
	stand, s := hub(t, &now, nil)
	stand.SetRuns(7,
		standin.Run{ID: 1, Number: 1, Conclusion: "success", Branch: "v1.1", Created: now.Add(-3 * time.Hour)},
		standin.Run{ID: 2, Number: 2, Attempt: 3, Conclusion: "timed_out", Branch: "v1.2", Created: now.Add(-2 * time.Hour), Started: now.Add(-20 * time.Minute)},
		standin.Run{ID: 3, Number: 3, Status: "in_progress", Branch: "v1.3", Created: now.Add(-time.Minute)},
		standin.Run{ID: 4, Number: 4, Conclusion: "failure", Branch: "v1.4", Created: now, Fork: true},
	)
	settings := &LookSettings{Repository: "acme/shop", Workflow: "deploy.yml"}
	settings.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
	view, err := settings.Build("deploys", s)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		most int
		same map[string]string
		want string
	}{
		"all":     {5, nil, "-1m0s deploy.yml run 3 of v1.3: in progress, -20m0s deploy.yml run 2 of v1.2: timed out, attempt 3"},
		"one":     {1, nil, "-1m0s deploy.yml run 3 of v1.3: in progress"},
		"one tag": {5, map[string]string{"branch": "v1.2"}, "-20m0s deploy.yml run 2 of v1.2: timed out, attempt 3"},
		"no tag":  {5, map[string]string{"branch": "v1"}, ""},
	} {
		found, err := view.Look(t.Context(), kind.Around{Same: c.same, From: now.Add(-time.Hour), To: now, Most: c.most})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			got = append(got, fmt.Sprintf("%s %s", f.At.Sub(now), f.Text))
			if f.Link == nil || !strings.HasPrefix(f.Link.Href, "http") {
				t.Errorf("%s: %s has no link", name, f.Text)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: got %s", name, strings.Join(got, ", "))
		}
	}
	if settings.Field("branch") != "" || settings.Field("actor") == "" {
		t.Error("fields of same")
	}
}
