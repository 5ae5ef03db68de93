package acceptance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/statuspage"
)

const redisKey = "REDIS_SECONDARY"

func newRedisOutage(t *testing.T) *redisOutage {
	t.Helper()
	o := &redisOutage{production: newProduction(t), box: newBox(t), redis: map[string]*servers.RedisServer{}}
	o.toldDesk = newToldDesk(t, o.box, statuspage.Component{ID: "8kbf7d35c070", Name: "Payments", Status: "operational"})
	o.staff()
	o.domains()
	scrape, labels := map[string][]string{"services": {o.exporter.Host()}}, map[string]map[string]string{}
	for _, name := range []string{"main", "secondary"} {
		o.redis[name] = servers.Redis(t)
		exporter := servers.RedisExporter(t, o.redis[name])
		scrape[name], labels[name] = []string{exporter.URL}, map[string]string{"redis": name, "env": "prod"}
	}
	o.production.metrics = servers.Prometheus(t, servers.PrometheusOptions{Scrape: scrape, Labels: labels})
	patch := fmt.Sprintf(`{"data":{%q:%q}}`, redisKey, o.address("main"))
	if _, err := o.kube.Client(servers.Admin).CoreV1().ConfigMaps("core").Patch(t.Context(), "core-env", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	o.client = o.read(t)
	o.eventually("all to be scraped", func() error { return o.count(`count(redis_up == 1) + count(cache_requests_total > 0)`, 3) })
	return o
}

// configure takes the run-book out of the handbook, with looks each second.
func (o *redisOutage) configure(autonomy string, change func(e *handbookExcerpt, policy map[string]any)) {
	t := o.box.t
	t.Helper()
	o.box.write("secrets/kubeconfig", o.kubeconfig())
	o.box.write("sources.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 10s, unknown_after: 30s}
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig}
`, o.production.metrics.URL))
	e := newHandbookExcerpt(t)
	e.take("detectors", "redis-up", handbookSoon)
	e.take("detectors", "cache-errors", func(d map[string]any) {
		handbookSoon(d)
		d["query"] = strings.ReplaceAll(d["query"].(string), "[1m]", "[4s]")
	})
	e.take("switches", "redis", func(s map[string]any) {
		s["positions"] = map[string]any{"main": o.address("main"), "secondary": o.address("secondary")}
	})
	o.tools(e, "status-database")
	e.take("policies", "redis-outage", func(p map[string]any) {
		p["autonomy"] = autonomy
		handbookBlock(p, "verify")["within"] = "30s"
		if change != nil {
			change(e, p)
		}
	})
	e.whole("depends_on")
	e.write(o.box)
}

// redisClient reads from the Redis that REDIS_SECONDARY names, and exports how
// often it could not. A miss is an answer: what it reads is a cache.
type redisClient struct {
	reader
	requests, errors float64
}

func (o *redisOutage) read(t *testing.T) *redisClient {
	t.Helper()
	c := &redisClient{}
	clients := map[string]*redis.Client{}
	for name := range o.redis {
		address := o.address(name)
		clients[address] = redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		for _, client := range clients {
			_ = client.Close()
		}
	})
	tick := time.NewTicker(100 * time.Millisecond)
	go func() {
		defer close(done)
		defer tick.Stop()
		for {
			err := o.readOnce(ctx, clients)
			if ctx.Err() != nil {
				return
			}
			c.requests++
			if c.saw(err); err != nil {
				c.errors++
			}
			o.exporter.Set("cache_requests_total", c.requests, "service", "core", "env", "prod")
			o.exporter.Set("cache_errors_total", c.errors, "service", "core", "env", "prod")
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return c
}

func (o *redisOutage) readOnce(ctx context.Context, clients map[string]*redis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cm, err := o.kube.Client(servers.Admin).CoreV1().ConfigMaps("core").Get(ctx, "core-env", metav1.GetOptions{})
	if err != nil {
		return err
	}
	client := clients[cm.Data[redisKey]]
	if client == nil {
		return fmt.Errorf("%s is %q", redisKey, cm.Data[redisKey])
	}
	if err := client.Get(ctx, "session/1").Err(); !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}
