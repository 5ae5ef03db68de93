package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// playedBy is a source with one detector, whose feed a test plays.
func playedBy(t testing.TB, d *DetectorSettings, namespaces ...string) (*Source, *feed, *detector) {
	t.Helper()
	src := aSource(t, namespaces...)
	det := build(t, src, d)
	a := src.asked[det.question.Query]
	return src, a.feeds[0], det
}

// names are the objects that are ill at a moment, with their reasons.
func names(src *Source, d *detector, at time.Time) string {
	src.mu.Lock()
	defer src.mu.Unlock()
	a := src.asked[d.question.Query]
	var out []string
	for _, s := range a.samples(at, at)[1:] {
		text := s.Labels[labelObject] + ":" + s.Labels[labelReason]
		if s.Value == 0 {
			text += " yet"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func TestGraces(t *testing.T) {
	src, f, d := playedBy(t, &DetectorSettings{Pods: &Scope{Filter: Filter{After: map[string]kind.Duration{"NotReady": kind.Duration(time.Minute)}}}})
	f.begin()
	unready := aPod(condition(corev1.PodReady, corev1.ConditionFalse, "", 0))
	killed := aPod(ended("OOMKilled", 137, 0))
	killed.Name = "api-1"
	_ = f.Replace([]any{fromPod(unready), fromPod(killed)}, "10")
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{0, "api-1:OOMKilled"}, {59 * time.Second, "api-1:OOMKilled"}, {time.Minute, "api-1:OOMKilled api-0:NotReady"}, {10 * time.Minute, "api-0:NotReady"}} {
		if got := names(src, d, now.Add(c.after)); got != c.want {
			t.Errorf("after %s: got %q, want %q", c.after, got, c.want)
		}
	}
}

// A symptom whose time the object doesn't tell counts from when it was seen
// first, over relists too; a step of a rollout begins it anew.
func TestSeenFirst(t *testing.T) {
	at := now
	src, f, _ := playedBy(t, &DetectorSettings{Pods: &Scope{}})
	src.now = func() time.Time { return at }
	since := func() time.Duration { return at.Sub(f.objects[id{"Pod", "core", "api-0"}].symptoms[0].at) }
	pod := func(marks ...string) *object {
		o := fromPod(aPod(phase(corev1.PodPending), waits("ImagePullBackOff")))
		for _, m := range marks {
			o.symptoms[0].mark = m
		}
		return o
	}
	_ = f.Replace([]any{pod()}, "10")
	at = at.Add(time.Minute)
	_ = f.Update(pod())
	at = at.Add(time.Minute)
	_ = f.Replace([]any{pod()}, "12")
	if got := since(); got != 2*time.Minute {
		t.Errorf("it is seen for %s, want 2m", got)
	}
	_ = f.Update(pod("a step"))
	if got := since(); got != 0 {
		t.Errorf("after a step it is seen for %s, want 0s", got)
	}
	_ = f.Delete(pod())
	_ = f.Add(pod())
	if got := since(); got != 0 {
		t.Errorf("a new object is seen for %s", got)
	}
}

// A restart of ours, and a time in which nothing is seen, make nothing well and
// nothing ill: the clock of what the object doesn't tell stands still.
func TestGapsCountForNothing(t *testing.T) {
	at := now
	src, f, d := playedBy(t, &DetectorSettings{Workloads: &WorkloadScope{Kinds: []string{"Deployment"}}})
	src.now = func() time.Time { return at }
	short := func() *object {
		x := aDeployment(3, appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 2, Conditions: progress(corev1.ConditionTrue, "NewReplicaSetAvailable")})
		x.Namespace, x.Name = "core", "api"
		return fromDeployment(x)
	}
	check := func(when, want string) {
		t.Helper()
		if got := names(src, d, at); got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	relist := func() { f.begin(); _ = f.Replace([]any{short()}, "10") }
	relist()
	check("at first", "api:Unavailable yet")
	at = at.Add(4 * time.Minute)
	_ = f.Update(short())
	check("in its grace", "api:Unavailable yet")
	at = at.Add(time.Hour)
	relist()
	check("after an hour without a watch", "api:Unavailable yet")
	at = at.Add(time.Minute)
	_ = f.Update(short())
	check("after its grace", "api:Unavailable")
	at = at.Add(time.Hour)
	relist()
	check("after another hour without a watch", "api:Unavailable")
}

// What has to be read: a watch that doesn't move though the API server does.
func TestWatchThatFallsBehind(t *testing.T) {
	_, f, _ := playedBy(t, &DetectorSettings{Pods: &Scope{}})
	f.begin()
	_ = f.Replace([]any{fromPod(aPod())}, "10")
	later := func(d time.Duration) time.Time { return now.Add(d) }
	f.proved("20", later(time.Minute))
	if age, _ := f.ages(later(time.Minute)); age != time.Minute {
		t.Errorf("the age is %s: a proof of a watch that is not open counts for nothing", age)
	}
	f.opened(true)
	f.proved("20", later(time.Minute))
	if age, _ := f.ages(later(time.Minute)); age != 0 || f.behind(later(4*time.Minute)) || !f.behind(later(5*time.Minute)) {
		t.Errorf("age %s, behind after 3m: %v, after 4m: %v", age, f.behind(later(4*time.Minute)), f.behind(later(5*time.Minute)))
	}
	f.proved("30", later(2*time.Minute))
	_ = f.Bookmark("19")
	if !f.behind(later(5 * time.Minute)) {
		t.Error("a bookmark short of what is owed pays nothing")
	}
	_ = f.Bookmark("20")
	if f.behind(later(time.Hour)) {
		t.Error("what was owed is paid")
	}
	f.proved("20", later(3*time.Minute))
	if f.behind(later(time.Hour)) {
		t.Error("nothing is owed where the watch is as far as the server")
	}
}

// A list that takes long is worth what it was when it began, and its watch goes
// on from it all the same.
func TestLongList(t *testing.T) {
	at := now
	src, f, _ := playedBy(t, &DetectorSettings{Pods: &Scope{}})
	src.now = func() time.Time { return at }
	f.begin()
	if f.listed() {
		t.Error("there is no list yet")
	}
	at = at.Add(time.Minute)
	_ = f.Replace([]any{fromPod(aPod())}, "10")
	seen, touched := f.ages(at)
	if seen != time.Minute || touched != 0 || !f.listed() {
		t.Errorf("seen %s ago, touched %s ago, listed: %v", seen, touched, f.listed())
	}
	if f.doubt(at, 45*time.Second) == "" {
		t.Error("what was seen a minute ago is not known now")
	}
	f.opened(true)
	f.proved("11", at)
	if why := f.doubt(at, 45*time.Second); why != "" {
		t.Errorf("after a proof: %s", why)
	}
	f.begin()
	at = at.Add(time.Second)
	if f.begin(); f.listed() {
		t.Error("the list is of the life before")
	}
}

func TestCronJobIsWellAfterItsNextRun(t *testing.T) {
	src, f, d := playedBy(t, &DetectorSettings{Jobs: &Scope{}})
	run := func(name string, age time.Duration, c batchv1.JobConditionType) *object {
		yes := true
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "core", Name: name, CreationTimestamp: ago(age)}}
		if strings.HasPrefix(name, "report") {
			j.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "report", Controller: &yes}}
		}
		if c != "" {
			j.Status.Conditions = []batchv1.JobCondition{{Type: c, Status: corev1.ConditionTrue, LastTransitionTime: ago(age - time.Minute)}}
		}
		return fromJob(j)
	}
	_ = f.Replace([]any{run("report-1", 5*time.Hour, batchv1.JobComplete), run("report-2", 4*time.Hour, batchv1.JobFailed), run("migrate", 9*time.Hour, batchv1.JobFailed)}, "10")
	if got := names(src, d, now); got != "migrate:Failed report-2:Failed" {
		t.Errorf("got %q", got)
	}
	_ = f.Add(run("report-3", 3*time.Hour, ""))
	if got := names(src, d, now); got != "migrate:Failed report-2:Failed" {
		t.Errorf("while the next run runs: got %q", got)
	}
	_ = f.Update(run("report-3", 3*time.Hour, batchv1.JobComplete))
	if got := names(src, d, now); got != "migrate:Failed" {
		t.Errorf("after the next run: got %q", got)
	}
}

func TestOnlyWhatIsAskedAbout(t *testing.T) {
	src, f, d := playedBy(t, &DetectorSettings{Pods: &Scope{Namespaces: []string{"core"}, Filter: Filter{Selector: "app in (api)", Reasons: []string{"ErrImagePull"}}}})
	pod := func(namespace, app, name, reason string) *object {
		p := aPod(waits(reason))
		p.Namespace, p.Name, p.Labels = namespace, name, map[string]string{"app": app, "x": "y"}
		return fromPod(p)
	}
	_ = f.Replace([]any{
		pod("core", "api", "a", "ImagePullBackOff"), pod("core", "web", "b", "ImagePullBackOff"),
		pod("other", "api", "c", "ImagePullBackOff"), pod("core", "api", "d", "CrashLoopBackOff"),
	}, "10")
	if got := names(src, d, now); got != "a:ImagePullBackOff" {
		t.Errorf("got %q", got)
	}
	if n := src.asked[d.question.Query].covered; n != 2 {
		t.Errorf("%d objects are covered, want a and d", n)
	}
}

// What is kept follows the events: whatever comes, the index is what a fill
// from nothing would give, and only changed answers are told.
func TestIndexFollowsTheFeed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src, f, d := playedBy(t, &DetectorSettings{Pods: &Scope{Filter: Filter{Selector: "app=api"}}})
		told := 0
		src.changed = func(...signalbox.Question) { told++ }
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			p := aPod(waits(rapid.SampledFrom([]string{"", "CrashLoopBackOff", "ErrImagePull"}).Draw(rt, "reason")))
			p.Name = fmt.Sprint("p", rapid.IntRange(0, 4).Draw(rt, "pod"))
			p.Labels["app"] = rapid.SampledFrom([]string{"api", "web"}).Draw(rt, "app")
			before, was := names(src, d, now), told
			switch rapid.IntRange(0, 5).Draw(rt, "event") {
			case 0:
				_ = f.Delete(fromPod(p))
			case 1:
				_ = f.Replace([]any{fromPod(p)}, "10")
			default:
				_ = f.Update(fromPod(p))
			}
			if names(src, d, now) != before && told == was {
				rt.Fatalf("the answer changed from %q to %q and nobody was told", before, names(src, d, now))
			}
		}
		a := src.asked[d.question.Query]
		kept, covered := maps.Clone(a.suspects), a.covered
		a.fill()
		if !maps.Equal(kept, a.suspects) || covered != a.covered {
			rt.Fatalf("kept %v of %d, want %v of %d", slices.Collect(maps.Keys(kept)), covered, slices.Collect(maps.Keys(a.suspects)), a.covered)
		}
	})
}
