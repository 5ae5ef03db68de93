package grafana

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// maxUntitled bounds the library panels that are read to find one by a title
// that its dashboard does not tell.
const maxUntitled = 50

// errNoPanel is said where a dashboard has no panel of a name.
var errNoPanel = errors.New("there is no such panel")

// define reads all that a panel is resolved from. was is where it was found
// before.
func (b *books) define(ctx context.Context, ref reference, was spot) (*definition, error) {
	board, err := b.board(ctx, ref.Dashboard)
	if errors.Is(err, errVanished) && was.dashboard != "" {
		if old, err := b.byUID(ctx, was.dashboard); err == nil {
			return nil, fmt.Errorf("there is no such dashboard: the one that had that name, uid %s, is now %q", plain(was.dashboard), plain(old.name()))
		}
	}
	if err != nil {
		return nil, err
	}
	d := &definition{board: board}
	if d.panel, err = b.panel(ctx, board, ref.Panel); err != nil {
		if now := board.Dashboard.moved(was); now != nil && errors.Is(err, errNoPanel) {
			return nil, now
		}
		return nil, err
	}
	if l := d.panel.Library; l != nil && l.UID != "" {
		if d.library, err = b.library(ctx, string(l.UID)); err != nil {
			return nil, err
		}
	}
	d.sources, err = b.datasources(ctx)
	return d, err
}

// given are the values of variables that the detector gives.
func (d *definition) given(ref reference) url.Values {
	out := url.Values{}
	for i := range d.board.Dashboard.Templating.List {
		v := &d.board.Dashboard.Templating.List[i]
		value, given := ref.Variables[string(v.Name)]
		switch {
		case !given:
		case v.Multi:
			out[string(v.Name)] = commaSeparated(value)
		default:
			out[string(v.Name)] = []string{value}
		}
	}
	return out
}

// name is the dashboard's title with its folder.
func (b *board) name() string { return or(b.Meta.FolderTitle, generalFolder) + "/" + b.Dashboard.Title }

// panel finds a panel by its title or number. Where it is not found, the titles
// of library panels that the dashboard does not tell are looked up.
func (b *books) panel(ctx context.Context, board *board, name string) (panel, error) {
	found, err := board.Dashboard.find(name, nil)
	if !errors.Is(err, errNoPanel) {
		return found, err
	}
	titles := map[string]string{}
	for _, p := range board.Dashboard.all {
		if p.Title != "" || p.Library == nil || p.Library.UID == "" || len(titles) == maxUntitled {
			continue
		}
		uid := string(p.Library.UID)
		if _, read := titles[uid]; read {
			continue
		}
		e, err := b.library(ctx, uid)
		if errors.Is(err, errUnread) {
			return panel{}, err
		}
		titles[uid] = ""
		if err == nil {
			titles[uid] = e.title()
		}
	}
	return board.Dashboard.find(name, titles)
}
