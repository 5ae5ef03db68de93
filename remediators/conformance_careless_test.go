package remediators_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/remediators"
)

// The suite catches a kind that does it all wrong, in each of its checks.
func TestConformanceCanFail(t *testing.T) {
	h := &house{t: t, kinds: append(pagersOf(t), carelessKind())}
	e := entry{kind: "careless", key: "careless", class: signalbox.ClassC, build: careless}
	caught := func(what string, look func(b *bench), like string) {
		wrong := strings.Join(h.check(t, e, look), "\n")
		if !strings.Contains(wrong, like) {
			t.Errorf("%s: the careless kind was not caught with %q, but: %s", what, like, wrong)
		}
	}
	caught("well", checkWell, "it does not come to its end")
	caught("twice", checkTwice, "started twice, it has")
	caught("preview", checkPreview, "the preview wrote")
	caught("gate", checkGate, "held back by the last check: got <nil>")
	caught("undo", checkUndo, "gives no way back")
	caught("positions", checkStrange, "it came since the preview, and is not refused")
	caught("reads", checkReads(dropped), "the start saw nothing, and went on")
	caught("late", checkLate(2, 2), "want a doubt")
	for _, f := range faults() {
		like := map[bool]string{true: "it is said to have had no effect, and has", false: "a secret is told"}[f.after]
		if f.code == 0 {
			like = "nobody can tell whether it was done"
		}
		caught(f.name, checkFault(2, f), like) // the first write is its preview's
		caught("page, "+f.name, checkPage(&f), "it is said to be told, and was told 0 times")
	}
	caught("Retry-After", checkFault(2, fault{name: "429", code: 429}), "does not say when to come back")
	for class, like := range map[signalbox.Class]string{
		signalbox.ClassB: "sent again under its key, it is", signalbox.ClassC: "the effect is there: true, and it is said to be", signalbox.ClassD: "nobody can know what happened",
	} {
		caught("settles, "+string(class), func(b *bench) {
			a := b.theAction()
			if a.Forecast.Class = class; class == signalbox.ClassB {
				b.door.meet(3, dropped)
			}
			b.must(b.start(b.process(), b.t.Context(), &a))
			b.settles(a, "x")
		}, like)
	}
}

// pagersOf are the kinds by which a configuration has an owner.
func pagersOf(t *testing.T) (list []kind.Remediator) {
	t.Helper()
	for _, k := range remediators.Kinds() {
		if k.Owner != nil {
			list = append(list, k)
		}
	}
	return list
}

// carelessSettings are an address, and a file with a credential.
type carelessSettings struct {
	URL   string `yaml:"url" json:"url"`
	Token string `yaml:"token_file" json:"token_file"`
}

func (*carelessSettings) Validate(kind.Fail) {}

func carelessKind() kind.Remediator {
	return kind.Remediator{
		Name: "careless", Keyword: "careless",
		Tools: map[string]kind.Tool{"careless": {Settings: func() kind.Settings { return &carelessSettings{} }}},
		Spec: func(in kind.SpecInput) (json.RawMessage, error) {
			s := *in.Settings.(*carelessSettings)
			s.Token = filepath.Join(in.ConfigDir, s.Token)
			return json.Marshal(s)
		},
		Open: func(kind.Env) (signalbox.Remediator, error) { return heedless{}, nil },
	}
}

// heedless sends whenever it is asked anything, has no key and asks no gate, and
// takes each error for a proof that nothing was done.
type heedless struct{}

func (heedless) send(ctx context.Context, s signalbox.Step) error {
	var to carelessSettings
	if err := json.Unmarshal(s.Spec, &to); err != nil {
		return err
	}
	token, _ := os.ReadFile(to.Token)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return &signalbox.Failure{Reason: "it was not sent", Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		return &signalbox.Failure{Reason: fmt.Sprintf("status %d: %s", resp.StatusCode, body)}
	}
	return nil
}

func (h heedless) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	_ = h.send(ctx, s)
	return signalbox.Forecast{Class: signalbox.ClassC, Targets: []signalbox.Target{"it"}}, nil
}

func (h heedless) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	return signalbox.Receipt{}, h.send(ctx, a.Step)
}

func (heedless) Probe(context.Context, signalbox.Action) (signalbox.Progress, error) {
	return signalbox.Progress{Phase: signalbox.NotStarted}, nil
}

func (heedless) Page(context.Context, json.RawMessage, string, signalbox.PageEvent, signalbox.PageBody) error {
	return nil
}

// careless is its target.
func careless(b *bench) {
	s := &shelf{had: map[string]bool{}}
	b.secret("secrets/token", "hunter2-token")
	b.blocks = fmt.Sprintf("tools: {it: {careless: {url: %q, token_file: secrets/token}}}", b.serve(s, nil))
	b.step = "{careless: it}"
	b.record = s.record
	b.effects = func() int { return max(0, s.effects()-1) } // its preview's is one too many
	b.value = func() string { return "" }
	b.strange = func() {}
}
