package cdn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// remediator purges. It keeps connections, and no state of actions; it is safe
// for concurrent use.
type remediator struct {
	now     func() time.Time
	clients *reach.Clients
}

var _ signalbox.Remediator = (*remediator)(nil)

func open(env kind.Env) (signalbox.Remediator, error) {
	if env.Now == nil {
		return nil, errors.New("cdn: a clock must be given")
	}
	return &remediator{now: env.Now, clients: reach.NewClients(env.Agent, env.Log)}, nil
}

func shown(s string) string { return reach.Shown(s) }

// Preview tells what would be purged. It asks nobody: neither vendor answers a
// question about a purge.
func (r *remediator) Preview(_ context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	sp, err := parseSpec(s.Spec)
	if err != nil {
		return signalbox.Forecast{}, reach.Refused("tool %q: %v", s.Name, err)
	}
	items, refused := sp.chosen(s.About)
	f := signalbox.Forecast{At: r.now(), Class: signalbox.ClassB, Targets: []signalbox.Target{sp.target()}, Refused: refused}
	if refused != "" {
		return f, nil
	}
	f.Found = "in the caches"
	f.Reach = fmt.Sprintf("what is cached under %d %s of %s, everywhere: the origin serves it until the caches are filled again", len(items), sp.What, sp.target())
	f.ByHand = "a purge can't be taken back: the caches fill by themselves"
	if !readable(sp.TokenFile) {
		f.Refused = "token_file can't be read, or is empty: " + sp.TokenFile
	}
	return f, nil
}

func readable(path string) bool {
	raw, err := os.ReadFile(path)
	return err == nil && strings.TrimSpace(string(raw)) != ""
}

func (s spec) target() signalbox.Target {
	if s.Vendor == vendorFastly {
		return signalbox.Target("fastly service " + s.ID)
	}
	return signalbox.Target("cloudflare zone " + strings.ToLower(s.ID))
}

// Start sends one purge. Sent again it has the same effect.
func (r *remediator) Start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	sp, err := parseSpec(a.Step.Spec)
	if err != nil {
		return signalbox.Receipt{}, reach.Refused("tool %q: %v", a.Step.Name, err)
	}
	items, refused := sp.chosen(a.Step.About)
	if refused != "" {
		return signalbox.Receipt{}, reach.Refused("tool %q: %s", a.Step.Name, refused)
	}
	if !readable(sp.TokenFile) {
		return signalbox.Receipt{}, reach.Refused("tool %q: token_file can't be read, or is empty: %s", a.Step.Name, sp.TokenFile)
	}
	api, err := r.clients.REST(sp.Vendor, sp.URL, sp.client(), "application/json", r.now, said)
	if err != nil {
		return signalbox.Receipt{}, reach.Refused("tool %q: %v", a.Step.Name, err)
	}
	purge := sp.fastly
	if sp.Vendor == vendorCloudflare {
		purge = sp.cloudflare
	}
	id, err := purge(ctx, api, items, a.Gate)
	if err != nil {
		return signalbox.Receipt{}, err
	}
	return signalbox.Receipt{At: r.now(), Version: shown(id), Detail: fmt.Sprintf("%d %s of %s were purged", len(items), sp.What, sp.target())}, nil
}

// Probe knows of an action only what its receipt says: purges can't be read
// back. Without one it is in doubt, which is settled by a new Start.
func (r *remediator) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	if !a.Receipt.At.IsZero() {
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: a.Receipt}, nil
	}
	return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "a purge can't be read back; it is safe to send it again"}, nil
}

// fastly purges surrogate keys, all in one request: it is answered with the id
// of the purge of each.
func (s spec) fastly(ctx context.Context, api *reach.REST, keys []string, gate func() error) (string, error) {
	header := http.Header{}
	if s.Soft {
		header.Set("Fastly-Soft-Purge", "1")
	}
	var ids map[string]string
	_, err := api.Do(ctx, reach.Exchange{
		What: "purge", Method: http.MethodPost, Path: "service/" + s.ID + "/purge", Header: header,
		Body: map[string]any{"surrogate_keys": keys}, Write: true, Gate: gate,
	}, &ids)
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		if ids[key] == "" {
			return "", fmt.Errorf("fastly: purge: the answer does not name key %q, so that it may not have been purged", shown(key))
		}
	}
	return ids[keys[0]], nil
}

// cloudflare purges one list in one request.
func (s spec) cloudflare(ctx context.Context, api *reach.REST, items []string, gate func() error) (string, error) {
	var answer struct {
		Success *bool `json:"success"`
		Result  struct {
			ID string `json:"id"`
		} `json:"result"`
	}
	_, err := api.Do(ctx, reach.Exchange{
		What: "purge", Method: http.MethodPost, Path: "client/v4/zones/" + s.ID + "/purge_cache",
		Body: map[string]any{s.What: items}, Write: true, Gate: gate,
	}, &answer)
	switch {
	case err != nil:
		return "", err
	case answer.Success == nil:
		return "", errors.New("cloudflare: purge: the answer does not say whether it succeeded")
	case !*answer.Success:
		return "", reach.Refused("cloudflare: purge: the answer says that it did not succeed")
	}
	return answer.Result.ID, nil
}

// said are a vendor's own words in a refusal: Fastly's msg and detail,
// Cloudflare's errors.
func said(body []byte) string {
	var in struct {
		Msg, Detail string
		Errors      []struct {
			Code    int
			Message string
		}
	}
	if json.Unmarshal(body, &in) != nil {
		return ""
	}
	words := []string{in.Msg, in.Detail}
	for _, e := range in.Errors {
		words = append(words, fmt.Sprintf("%d %s", e.Code, e.Message))
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
