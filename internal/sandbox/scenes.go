package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// scene is one thing that goes wrong, and heals by itself.
type scene struct {
	name   string
	faults fault
	begins time.Duration // in each rotation
	lasts  time.Duration
	breaks string // told when it begins
	heals  string // told when it ends
}

// The scenes by name, for Break too.
const (
	sceneReplica  = "replica-a"
	sceneWebhooks = "psp"
	sceneCDN      = "cdn"
	sceneReplicas = "both-replicas"
)

func scenes() []scene {
	return []scene{
		{
			sceneReplica, replicaAStalled, 10 * time.Second, 15 * time.Second,
			"replica-a of db/eu stops replaying: it falls behind",
			"replica-a of db/eu replays again: it catches up",
		},
		{
			sceneWebhooks, pspDegraded, 30 * time.Second, 14 * time.Second,
			"the PSP refuses most webhooks: they pile up",
			"the PSP takes webhooks again: the queue drains",
		},
		{
			sceneCDN, mainPOPFailing, 90 * time.Second, 25 * time.Second,
			"POP fra of the main CDN answers 503 to many visitors",
			"POP fra of the main CDN is well again",
		},
		{
			sceneReplicas, replicaAStalled | replicaBStalled, 150 * time.Second, 25 * time.Second,
			"both replicas of db/eu stop replaying: there is no good one to flip to",
			"both replicas of db/eu replay again",
		},
	}
}

// A rotation begins with what a newcomer should see in the first minute; then
// something breaks about every minute.
const rotation = 210 * time.Second

// script says which scenes are on at a time: those of the rotation, unless it
// is calm, and those that somebody asked for.
type script struct {
	calm  bool
	asked map[string]time.Duration // scene to the uptime at which it ends
}

// ask begins a scene now. Asked again while it is on, it lasts longer.
func (p *script) ask(name string, uptime time.Duration) error {
	i := slices.IndexFunc(scenes(), func(s scene) bool { return s.name == name })
	if i < 0 {
		return fmt.Errorf("scene must be one of %v, got %q", sceneNames(), name)
	}
	if p.asked == nil {
		p.asked = map[string]time.Duration{}
	}
	p.asked[name] = uptime + scenes()[i].lasts
	return nil
}

// on returns the scenes that are on.
func (p *script) on(uptime time.Duration) []scene {
	var on []scene
	for _, s := range scenes() {
		into := uptime%rotation - s.begins
		turn := !p.calm && into >= 0 && into < s.lasts
		if turn || uptime < p.asked[s.name] {
			on = append(on, s)
		}
	}
	return on
}

func sceneNames() []string {
	var names []string
	for _, s := range scenes() {
		names = append(names, s.name)
	}
	return names
}

func faultsOf(on []scene) fault {
	var f fault
	for _, s := range on {
		f |= s.faults
	}
	return f
}
