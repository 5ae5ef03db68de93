package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// apiServers are the API servers that the tests of one package have one after the
// other: to start one takes seven seconds of a processor. A test has its own as long as it
// runs; then all that was written to it is taken away. One that a test stopped,
// killed, paused, compacted or started with flags of its own is nobody's after it.
var apiServers struct {
	slots chan struct{} // held by each that is in use; nil: nothing is kept
	mu    sync.Mutex
	idle  []*KubeServer
}

// Main runs the tests of a package, with at most atOnce API servers, and ends
// those when it is over. It is for a TestMain, which exits with what it returns.
func Main(m *testing.M, atOnce int) int {
	apiServers.slots = make(chan struct{}, atOnce)
	code := m.Run()
	for _, k := range apiServers.idle {
		k.discard()
	}
	return code
}

// kept takes an API server that another test has left, or starts one. A test
// must not hold one while a subtest of it asks for another.
func kept(t testing.TB) *KubeServer {
	t.Helper()
	select {
	case apiServers.slots <- struct{}{}:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
	t.Cleanup(func() { <-apiServers.slots })
	apiServers.mu.Lock()
	var k *KubeServer
	if n := len(apiServers.idle); n > 0 {
		k, apiServers.idle = apiServers.idle[n-1], apiServers.idle[:n-1]
	}
	apiServers.mu.Unlock()
	if k == nil {
		k = newKept(t)
	}
	k.lend(t)
	t.Cleanup(func() { k.giveBack(t) })
	return k
}

// newKept starts an API server that outlives the test.
func newKept(t testing.TB) *KubeServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "signalbox-test-kube-")
	if err != nil {
		t.Fatal(err)
	}
	k := &KubeServer{dir: dir}
	defer func() {
		if k.fresh == nil {
			k.discard()
		}
	}()
	k.open(t, dir, nil, dir)
	Await(t, Patience, "the API server to have written its own", k.settled)
	return k
}

// quiet is how long a server that is ready must have written nothing.
const quiet = 500 * time.Millisecond

// settled takes down what the server writes for itself when it starts, once
// that is all there.
func (k *KubeServer) settled(ctx context.Context) error {
	first, err := k.written(ctx)
	if err != nil {
		return err
	}
	for _, space := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		if _, there := first["/registry/namespaces/"+space]; !there {
			return fmt.Errorf("there is no namespace %s", space)
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(quiet):
	}
	then, err := k.written(ctx)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(first, then, bytes.Equal) {
		return errors.New("it still writes")
	}
	k.fresh = then
	return nil
}

// lend makes it the test's. What is in its audit log is of others.
func (k *KubeServer) lend(t testing.TB) {
	t.Helper()
	k.t, k.Server.t, k.audited = t, t, audited{}
	info, err := os.Stat(k.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	k.audited.read = info.Size()
}

func (k *KubeServer) giveBack(t testing.TB) {
	if t.Failed() {
		t.Log(k.tail())
	}
	if k.touched {
		k.discard()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := k.clear(ctx); err != nil {
		t.Logf("the API server is not kept: %v", err)
		k.discard()
		return
	}
	apiServers.mu.Lock()
	defer apiServers.mu.Unlock()
	apiServers.idle = append(apiServers.idle, k)
}

func (k *KubeServer) discard() {
	if k.Server != nil {
		k.Stop()
		k.release()
	}
	if k.etcd != nil {
		k.etcd.Close()
	}
	_ = os.RemoveAll(k.dir)
}

// written is all that the server has stored.
func (k *KubeServer) written(ctx context.Context) (map[string][]byte, error) {
	all, err := k.etcd.Server.Range(ctx, &etcdserverpb.RangeRequest{Key: []byte("/registry/"), RangeEnd: []byte("/registry0")})
	if err != nil {
		return nil, err
	}
	by := make(map[string][]byte, len(all.Kvs))
	for _, kv := range all.Kvs {
		by[string(kv.Key)] = kv.Value
	}
	return by, nil
}

// clear makes what is stored what it was when the server was fresh, and waits until
// the server acts on that.
func (k *KubeServer) clear(ctx context.Context) error {
	now, err := k.written(ctx)
	if err != nil {
		return err
	}
	spaces := []string{metav1.NamespaceDefault}
	for key, value := range now {
		was, there := k.fresh[key]
		switch {
		case strings.HasPrefix(key, "/registry/leases/"), there && bytes.Equal(was, value): // the servers' own word that they live
			continue
		case there:
			_, err = k.etcd.Server.Put(ctx, &etcdserverpb.PutRequest{Key: []byte(key), Value: was})
		default:
			_, err = k.etcd.Server.DeleteRange(ctx, &etcdserverpb.DeleteRangeRequest{Key: []byte(key)})
		}
		if err != nil {
			return err
		}
		if rest, ok := strings.CutPrefix(key, "/registry/rolebindings/"); ok {
			space, _, _ := strings.Cut(rest, "/")
			spaces = append(spaces, space)
		}
	}
	for key, was := range k.fresh {
		if _, there := now[key]; there {
			continue
		}
		if _, err := k.etcd.Server.Put(ctx, &etcdserverpb.PutRequest{Key: []byte(key), Value: was}); err != nil {
			return err
		}
	}
	slices.Sort(spaces)
	return poll(ctx, func(ctx context.Context) error { return k.forgot(ctx, slices.Compact(spaces)) })
}

// forgot reports whether the server still serves what a test defined, or grants
// what it granted.
func (k *KubeServer) forgot(ctx context.Context, spaces []string) error {
	admin, err := kubernetes.NewForConfig(k.config(Admin))
	if err != nil {
		return err
	}
	daemon, err := kubernetes.NewForConfig(k.config(Daemon))
	if err != nil {
		return err
	}
	groups, err := admin.Discovery().ServerGroups()
	if err != nil {
		return err
	}
	for _, g := range groups.Groups {
		if g.Name != "apps" && strings.Contains(g.Name, ".") && !strings.HasSuffix(g.Name, ".k8s.io") {
			return fmt.Errorf("%s is still served", g.Name)
		}
	}
	for _, space := range spaces {
		review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: space}}
		rules, err := daemon.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		for _, r := range rules.Status.ResourceRules {
			if !slices.ContainsFunc(r.APIGroups, func(g string) bool { return g == "authorization.k8s.io" || g == "authentication.k8s.io" }) {
				return fmt.Errorf("%s may still do %v in %s", Daemon, r, space)
			}
		}
	}
	return nil
}
