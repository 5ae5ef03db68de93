package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// at names the scenes that are on.
func at(p *script, uptime time.Duration) string {
	var names []string
	for _, s := range p.on(uptime) {
		names = append(names, s.name)
	}
	return strings.Join(names, " ")
}

func TestTheRotation(t *testing.T) {
	for _, c := range []struct {
		uptime time.Duration
		want   string
	}{
		{0, ""},
		{9900 * time.Millisecond, ""},
		{10 * time.Second, sceneReplica},
		{24 * time.Second, sceneReplica},
		{25 * time.Second, ""},
		{30 * time.Second, sceneWebhooks},
		{44 * time.Second, ""},
		{100 * time.Second, sceneCDN},
		{160 * time.Second, sceneReplicas},
		{rotation, ""},
		{rotation + 12*time.Second, sceneReplica},
		{100*rotation + 100*time.Second, sceneCDN},
	} {
		if got := at(&script{}, c.uptime); got != c.want {
			t.Errorf("at %v: scenes %q, want %q", c.uptime, got, c.want)
		}
		if got := at(&script{calm: true}, c.uptime); got != "" {
			t.Errorf("calm, at %v: scenes %q, want none", c.uptime, got)
		}
	}
}

// Something breaks about every minute, and the company is well in between.
func TestBreaksComeAboutEveryMinute(t *testing.T) {
	p, last, breaks := &script{}, time.Duration(0), 0
	was := ""
	for uptime := time.Duration(0); uptime < time.Hour; uptime += testTick {
		is := at(p, uptime)
		if is != "" && was == "" {
			if gap := uptime - last; gap > 75*time.Second {
				t.Errorf("nothing broke for %v before %v", gap, uptime)
			}
			last, breaks = uptime, breaks+1
		}
		was = is
	}
	if breaks < 60 {
		t.Errorf("%d breaks in an hour", breaks)
	}
}

func TestAskForAScene(t *testing.T) {
	p := &script{calm: true}
	if err := p.ask(sceneCDN, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := at(p, time.Minute+24*time.Second); got != sceneCDN {
		t.Errorf("while it was asked for: %q", got)
	}
	if got := at(p, time.Minute+25*time.Second); got != "" {
		t.Errorf("after it: %q", got)
	}
	err := p.ask("earthquake", time.Minute)
	if err == nil || !strings.Contains(err.Error(), sceneCDN) || !strings.Contains(err.Error(), "earthquake") {
		t.Errorf("an unknown scene: %v", err)
	}
}

func TestSceneNamesAreUnique(t *testing.T) {
	names := sceneNames()
	slices.Sort(names)
	if len(slices.Compact(names)) != len(scenes()) {
		t.Errorf("scenes %v", sceneNames())
	}
}
