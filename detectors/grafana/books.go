package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// maxHits bounds what a search is asked for: Grafana allows 5,000.
const maxHits = 1_000

// books are the definitions that Grafana holds. Each is read at most once in a
// while, whatever the number of detectors that need it.
type books struct {
	searches  *httpclient.Polite[[]hit]
	boards    *httpclient.Polite[*board]
	libraries *httpclient.Polite[*element]
	sources   *httpclient.Polite[[]datasource]
}

// hit is one dashboard that GET /api/search finds.
type hit struct {
	UID         string `json:"uid"`
	Title       string `json:"title"`
	Type        string `json:"type"`
	FolderTitle string `json:"folderTitle"`
}

// element is the answer of GET /api/library-elements/{uid}.
// See https://grafana.com/docs/grafana/latest/developers/http_api/library_element/.
type element struct {
	Result struct {
		UID   string          `json:"uid"`
		Name  string          `json:"name"`
		Kind  int             `json:"kind"` // 1: a panel
		Model json.RawMessage `json:"model"`
	} `json:"result"`
}

// title is the library panel's title, which its model tells.
func (e *element) title() string {
	var m struct {
		Title text `json:"title"`
	}
	_ = json.Unmarshal(e.Result.Model, &m) // one of another shape has none
	return or(string(m.Title), e.Result.Name)
}

func newBooks(c *httpclient.Client, every time.Duration) *books {
	return &books{
		searches:  polite(c, every, httpclient.DecodeJSON[[]hit]),
		boards:    polite(c, every, decodeBoard),
		libraries: polite(c, every, httpclient.DecodeJSON[*element]),
		sources:   polite(c, every, httpclient.DecodeJSON[[]datasource]),
	}
}

func polite[T any](c *httpclient.Client, every time.Duration, decode func([]byte) (T, error)) *httpclient.Polite[T] {
	return httpclient.NewPolite(c, httpclient.PoliteOptions[T]{Every: every, Decode: decode, Say: message})
}

// message finds what Grafana says of an error.
func message(body []byte) string {
	var said struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	return or(said.Message, said.Error)
}

// uidForm is what a uid of a dashboard looks like.
var uidForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// errVanished is said of what is not there (any more).
var errVanished = errors.New("is not there (any more), or the credentials may not see it")

// errUnread is said of what could not be read now: nothing is known of it.
var errUnread = errors.New("can't be read")

// board finds the dashboard that a name means: "Folder/Title", a title or a
// uid. Where several are meant, the error names them.
func (b *books) board(ctx context.Context, name string) (*board, error) {
	found, err := b.search(ctx, name)
	if err != nil {
		return nil, err
	}
	var named *board
	if uidForm.MatchString(name) && !slices.ContainsFunc(found, func(h hit) bool { return h.UID == name }) {
		named, err = b.byUID(ctx, name)
		if err != nil && !errors.Is(err, errVanished) {
			return nil, err
		}
		if named != nil {
			found = append(found, hit{UID: name, Title: named.Dashboard.Title, FolderTitle: named.Meta.FolderTitle})
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("the dashboard %w", errVanished)
	case len(found) > 1:
		return nil, fmt.Errorf("%d dashboards have that name: write the uid of the one that is meant, or its folder before it: %s", len(found), candidates(found))
	case named != nil:
		return named, nil
	}
	return b.byUID(ctx, found[0].UID)
}

// search finds the dashboards with a title, in a folder where the name has one.
func (b *books) search(ctx context.Context, name string) ([]hit, error) {
	var found []hit
	for _, as := range readings(name) {
		hits, _, err := b.searches.Get(ctx, "/api/search", url.Values{
			"type": {"dash-db"}, "query": {as.title}, "limit": {formatInt(maxHits)},
		})
		if err != nil {
			return nil, fmt.Errorf("the search for it %w: %w", errUnread, err)
		}
		if len(hits) >= maxHits {
			return nil, fmt.Errorf("a search for it finds %d dashboards or more: write its uid", maxHits)
		}
		for _, h := range hits {
			if as.matches(h) && !slices.ContainsFunc(found, func(f hit) bool { return f.UID == h.UID }) {
				found = append(found, h)
			}
		}
	}
	return found, nil
}

// reading is one way to read a dashboard's name.
type reading struct {
	folder, title string
	anyFolder     bool
}

// readings are all ways: the whole as a title, and what stands before each
// slash as a folder.
func readings(name string) []reading {
	list := []reading{{title: name, anyFolder: true}}
	for i, r := range name {
		if r == '/' && i > 0 && i < len(name)-1 && len(list) < maxNamed {
			list = append(list, reading{folder: name[:i], title: name[i+1:]})
		}
	}
	return list
}

// generalFolder is the title of the place of dashboards that are in no folder.
const generalFolder = "General"

func (r reading) matches(h hit) bool {
	return h.Title == r.title && h.UID != "" && (h.Type == "" || h.Type == "dash-db") &&
		(r.anyFolder || h.FolderTitle == r.folder || h.FolderTitle == "" && r.folder == generalFolder)
}

func candidates(hits []hit) string {
	var words []string
	for _, h := range hits[:min(len(hits), maxNamed)] {
		words = append(words, fmt.Sprintf("%q (uid %s)", plain(or(h.FolderTitle, generalFolder)+"/"+h.Title), plain(h.UID)))
	}
	return strings.Join(words, ", ")
}

func (b *books) byUID(ctx context.Context, uid string) (*board, error) {
	d, _, err := b.boards.Get(ctx, "/api/dashboards/uid/"+url.PathEscape(uid), nil)
	switch status := httpclient.Status(err); {
	case status == http.StatusNotFound:
		return nil, fmt.Errorf("the dashboard %w", errVanished)
	case status == http.StatusNotAcceptable:
		return nil, fmt.Errorf("the dashboard is refused: %w", errSchema2)
	case err != nil:
		return nil, fmt.Errorf("the dashboard %w: %w", errUnread, err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("the dashboard is refused: %w", err)
	}
	return d, nil
}

// library reads a library panel's model.
func (b *books) library(ctx context.Context, uid string) (*element, error) {
	e, _, err := b.libraries.Get(ctx, "/api/library-elements/"+url.PathEscape(uid), nil)
	switch {
	case httpclient.Status(err) == http.StatusNotFound:
		return nil, fmt.Errorf("its library panel %w", errVanished)
	case err != nil:
		return nil, fmt.Errorf("its library panel %w: %w", errUnread, err)
	case e == nil || len(e.Result.Model) == 0 || e.Result.Kind > 1:
		return nil, errors.New("its library panel holds no model of a panel")
	}
	return e, nil
}

func (b *books) datasources(ctx context.Context) ([]datasource, error) {
	list, _, err := b.sources.Get(ctx, "/api/datasources", nil)
	if err != nil {
		return nil, fmt.Errorf("the list of data sources %w: %w", errUnread, err)
	}
	return list, nil
}
