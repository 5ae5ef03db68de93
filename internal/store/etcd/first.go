package etcd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"
)

// A first start takes all members of the cluster. etcd itself takes a majority,
// and can't tell members that never ran from members that lost their disks: two
// of three that come back empty, while the third is off, would begin a store
// anew beside the one that the third still has, and acknowledge alerts in it. So
// each member without data says so on its peer port, and none begins before it
// has heard the same of every other.

const (
	firstPath  = "/signalbox/first"
	firstPause = 250 * time.Millisecond // between two questions to a peer
)

// first is what a member without data says of the cluster that it would begin.
type first struct {
	Cluster string `json:"cluster"`
	Members string `json:"members"`
}

func (c *Cluster) first() first {
	all := make([]string, len(c.Members))
	for i, p := range c.Members {
		all[i] = p.Name + "=https://" + p.Address
	}
	slices.Sort(all)
	return first{Cluster: c.Name, Members: strings.Join(all, ",")}
}

// formation is a first start under way.
type formation struct {
	c    *Cluster
	trip *http.Transport
	seen map[string]bool // the members that begin with this one
}

// awaitAll waits until every other member begins with this one, and says whom
// it waits for. It refuses to begin beside a cluster that runs.
func awaitAll(ctx context.Context, c *Cluster, says func(waits string)) error {
	info := c.tlsInfo()
	listener, err := transport.NewListener(c.Listen, "https", &info)
	if err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(c.serveFirst), ReadHeaderTimeout: probeTimeout,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // of who is no peer
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until it is closed
	defer serving.Wait()
	defer func() { _ = server.Close() }()
	f := &formation{c: c, seen: map[string]bool{c.Member: true}}
	if f.trip, err = transport.NewTransport(info, probeTimeout); err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	defer f.trip.CloseIdleConnections()
	for told := ""; ; {
		missing, err := f.round(ctx)
		if err != nil || len(missing) == 0 {
			return err
		}
		waits := "all members of the cluster " + c.Name + " (" + c.names() + "), which its first start takes: " + strings.Join(missing, "; ")
		if told != waits {
			told = waits
			says(waits)
		}
		if !pause(ctx, firstPause) {
			return ctx.Err()
		}
	}
}

func (c *Cluster) serveFirst(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != firstPath {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c.first()) // the other side is gone
}

// round asks each member that was not heard of yet, and returns why those that
// are missing are.
func (f *formation) round(ctx context.Context) (missing []string, err error) {
	for _, p := range f.c.Members {
		if f.seen[p.Name] {
			continue
		}
		why, err := f.ask(ctx, p)
		if err != nil {
			return nil, err
		}
		if f.seen[p.Name] = why == ""; why != "" {
			missing = append(missing, p.Name+" "+why)
		}
	}
	return missing, nil
}

// ask asks one peer; why is empty where it begins with this one. An error is
// that this member must not begin at all.
func (f *formation) ask(ctx context.Context, p Peer) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.Address+firstPath, http.NoBody)
	if err != nil {
		return err.Error(), nil
	}
	resp, err := f.trip.RoundTrip(req)
	if err != nil {
		return "does not answer", nil
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return f.c.mayBeginBeside(p, f.trip)
	}
	var theirs first
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&theirs); err != nil {
		return "can't be read", nil
	}
	if own := f.c.first(); theirs != own {
		return fmt.Sprintf("would begin another cluster, %s of %s, and this one %s of %s", theirs.Cluster, theirs.Members, own.Cluster, own.Members), nil
	}
	return "", nil
}

// mayBeginBeside decides by what a peer that runs etcd knows of this member: it
// may be a moment ahead in the same first start.
func (c *Cluster) mayBeginBeside(p Peer, trip http.RoundTripper) (why string, err error) {
	known, err := etcdserver.GetClusterFromRemotePeers(zap.NewNop(), []string{"https://" + p.Address}, trip)
	if err != nil {
		return "does not say who the members are", nil
	}
	own := "https://" + c.own().Address
	for _, m := range known.Members() {
		if !slices.Contains(m.PeerURLs, own) {
			continue
		}
		if len(m.ClientURLs) > 0 {
			return "", c.dataIsGone(cmp.Or(m.Name, c.Member))
		}
		if m.Name == "" {
			return "", fmt.Errorf("the member at %s was added to a cluster that runs: start it with --cluster.join", own)
		}
		if id, err := c.firstID(); err != nil || id != known.ID() {
			return "", fmt.Errorf("%s is of another cluster than this member would begin: its --cluster.name or --cluster.initial-members differ, or it was restored from a copy; restore this one from the same, or add it by signalboxctl store members and start it with --cluster.join", p.Name)
		}
		return "", nil
	}
	return "", fmt.Errorf("%s runs in a cluster that has no member at %s: signalboxctl store members add %s %s, then start it with --cluster.join", p.Name, own, c.Member, own)
}

// dataIsGone is what to do about a member that forgot what it voted for.
func (c *Cluster) dataIsGone(name string) error {
	own := "https://" + c.own().Address
	return fmt.Errorf("the member %s at %s has run before, and its data is gone: replace it, with signalboxctl store members remove %s, then add %s %s, and start it with --cluster.join; where a majority is gone, restore all",
		name, own, name, c.Member, own)
}

// firstID is the id of the cluster that the members begin.
func (c *Cluster) firstID() (types.ID, error) { return c.idOf(c.token("")) }

// token keeps apart clusters of the same members: by their name, and by the copy
// that they were restored from.
func (c *Cluster) token(restored string) string {
	if restored != "" {
		restored = "/" + restored
	}
	return memberID + "/" + c.Name + restored
}

func (c *Cluster) idOf(token string) (types.ID, error) {
	urls, err := types.NewURLsMap(c.first().Members)
	if err != nil {
		return 0, err
	}
	begun, err := membership.NewClusterFromURLsMap(zap.NewNop(), token, urls)
	if err != nil {
		return 0, err
	}
	return begun.ID(), nil
}
