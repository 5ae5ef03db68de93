package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/certs"
)

// newCluster makes three daemons of one configuration, whose embedded members
// are one cluster with mutual TLS. They have one pager.
func newCluster(t *testing.T) []*box {
	t.Helper()
	boxes := []*box{newBox(t), newBox(t), newBox(t)}
	ca, names := certs.New(t), []string{"a", "b", "c"}
	var members, at []string
	for _, name := range names {
		at = append(at, freeAddress(t))
		members = append(members, name+"=https://"+at[len(at)-1])
	}
	for i, b := range boxes {
		cert, key := ca.Issue(names[i], certs.Leaf{Hosts: []string{"127.0.0.1"}})
		b.config, b.pager, b.pagerURL = boxes[0].config, boxes[0].pager, boxes[0].pagerURL
		b.args = []string{
			"--replica", names[i], "--cluster.name", "story", "--cluster.initial-members", strings.Join(members, ","),
			"--cluster.listen-address", at[i], "--cluster.ca-file", ca.File, "--cluster.cert-file", cert, "--cluster.key-file", key,
			"--store.lease", "2s",
		}
	}
	return boxes
}

// serving reports whether the daemon's member is up, and has a leader.
func (b *box) serving() error {
	body, err := b.metrics()
	if err != nil {
		return err
	}
	for _, want := range []string{"signalbox_store_up 1", "signalbox_store_has_leader 1", "signalbox_store_members 3", "signalbox_store_learner 0"} {
		if !strings.Contains(body, "\n"+want+"\n") {
			return fmt.Errorf("no %q", want)
		}
	}
	return nil
}

// leads waits until exactly one of the boxes leads, and returns it and the others.
func leads(boxes ...*box) (leader *box, others []*box) {
	boxes[0].t.Helper()
	boxes[0].eventually("one replica to lead", func() error {
		leader, others = nil, nil
		for _, b := range boxes {
			st, err := b.statusNow()
			if err != nil {
				return err
			}
			if !st.Leading {
				others = append(others, b)
				continue
			}
			if leader != nil {
				return fmt.Errorf("two lead")
			}
			leader = b
		}
		if leader == nil {
			return fmt.Errorf("none leads")
		}
		return nil
	})
	return leader, others
}

// taken posts an alert until it is answered 200.
func (b *box) taken(name string) { b.t.Helper(); b.answersPost(200, "firing", name, time.Now()) }
