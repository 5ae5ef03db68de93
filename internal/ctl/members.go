package ctl

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/signalbox/signalbox/internal/store"
)

const membersPath = "/api/v1/store/members"

// memberChange is the body of a change of the store's members.
type memberChange struct {
	Do      string `json:"do"`
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// storeMembers lists the members of the store's cluster, or changes them.
func (t *tool) storeMembers(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return t.listMembers(ctx)
	}
	n, known := map[string]int{"add": 2, "remove": 1}[args[0]]
	if !known {
		return &usageError{fmt.Sprintf("store members takes nothing, add NAME ADDRESS or remove NAME, got %q", args)}
	}
	fs := flag.NewFlagSet("store members "+args[0], flag.ContinueOnError)
	c := memberChange{Do: args[0]}
	fs.StringVar(&c.Reason, "reason", "", "why, for the journal")
	rest, err := t.flags(fs, args[1:], n)
	if err != nil {
		return err
	}
	if c.Name = rest[0]; n == 2 {
		c.Address = rest[1]
	}
	var m store.Member
	if err := t.ask(ctx, http.MethodPost, membersPath, c, &m); err != nil || t.json {
		return err
	}
	if c.Do == "remove" {
		fmt.Fprintf(t.Out, "removed %s (%s)\n", plain(c.Name), plain(m.ID))
		return nil
	}
	fmt.Fprintf(t.Out, "added %s (%s) at %s: start it there with --cluster.join; it votes when it has caught up\n", plain(c.Name), plain(m.ID), plain(m.Address))
	return nil
}

// lacking tells what the flags of the replica that was asked lack.
func lacking(w io.Writer, unlisted []string) {
	for _, entry := range unlisted {
		fmt.Fprintf(w, "NOT LISTED\t%s: the --cluster.initial-members of the replica that was asked lack it, so that it could begin a store of its own, were its disk lost: restart it with the whole list\n", plain(entry))
	}
}

func (t *tool) listMembers(ctx context.Context) error {
	var list store.Membership
	if err := t.ask(ctx, http.MethodGet, membersPath, nil, &list); err != nil || t.json {
		return err
	}
	w := tabwriter.NewWriter(t.Out, 0, 8, 2, ' ', 0)
	defer func() { _ = w.Flush() }() // nobody is left to tell
	defer lacking(w, list.Unlisted)  // below the table, and before that
	quorum := "has a quorum"
	if !list.Quorum {
		quorum = "has NO quorum: nothing is remediated, pages go out"
	}
	fmt.Fprintf(w, "cluster %s %s\n", plain(list.Cluster), quorum)
	fmt.Fprintln(w, "NAME\tID\tADDRESS\tROLE\tHEALTH")
	for _, m := range list.Members {
		name, role := m.Name, "follower"
		switch {
		case m.Learner:
			role = "learner"
		case m.Leader:
			role = "leader"
		case !list.Quorum:
			role = "-"
		}
		if name == "" {
			name = "(not started)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", plain(name), plain(m.ID), plain(m.Address), role, plain(m.Health))
	}
	return nil
}
