package datadog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	ddapi "github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	v2 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/telling"
)

// LookSettings are the keys of an entry of `evidence` on a source of this kind:
// logs, reduced to listed fields.
type LookSettings struct {
	// The query, as in Datadog's log explorer: service:core-* status:error
	Query string `yaml:"query" json:"query" jsonschema:"required"`
	// The fields of a log that are told, in this order; nothing else of it is: service, status, host, or attributes like @http.status_code
	Fields []string `yaml:"fields" json:"fields" jsonschema:"required,minItems=1"`
	// The indexes; absent: all.
	Indexes []string `yaml:"indexes,omitempty" json:"indexes,omitempty"`
}

// The bounds of a look. So many of the newest logs are read; those that say the
// same are told as one.
const (
	mostFields = 20
	logsRead   = 200
	mostValue  = 120 // characters of a field
	mostQuery  = 4 << 10
)

// fieldName is a field of a log: a reserved one, or the path of an attribute.
var fieldName = regexp.MustCompile(`^(service|status|host|@[A-Za-z_][A-Za-z0-9_.-]{0,198})$`)

// Validate reports every rule that the settings break.
func (s *LookSettings) Validate(fail kind.Fail) {
	if strings.TrimSpace(s.Query) == "" || len(s.Query) > mostQuery {
		fail("query", fmt.Sprintf("must be a query of 1 to %d bytes, like service:core-* status:error", mostQuery), s.Query)
	}
	if len(s.Fields) > mostFields {
		fail("fields", fmt.Sprintf("must be at most %d", mostFields), len(s.Fields))
	}
	for i, name := range s.Fields {
		if s.Field(name) != "" || slices.Contains(s.Fields[:i], name) {
			fail(fmt.Sprintf("fields[%d]", i), "must be service, status, host or an attribute like @http.status_code, each once", name)
		}
	}
}

// Field says what is wrong with a field that `same` names.
func (s *LookSettings) Field(name string) string {
	if !fieldName.MatchString(name) {
		return "must be service, status, host or an attribute like @http.status_code"
	}
	return ""
}

// Build makes the look. opened is what this kind's Open returned.
func (s *LookSettings) Build(name string, opened any) (kind.Look, error) {
	source, ok := opened.(*Source)
	if !ok {
		return nil, fmt.Errorf("evidence %s: the source is not of kind datadog", name)
	}
	return &glance{source: source, settings: *s}, nil
}

// glance reads the newest logs around an incident.
type glance struct {
	source   *Source
	settings LookSettings
}

// Look reads the newest logs, and tells of each its listed fields.
func (l *glance) Look(ctx context.Context, a kind.Around) ([]signalbox.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, l.source.timeout)
	defer cancel()
	resp, err := call(ctx, l.source, "logs_list", func(ctx context.Context) (v2.LogsListResponse, *http.Response, error) {
		return l.source.logs.ListLogs(ctx, *v2.NewListLogsOptionalParameters().WithBody(l.request(a)))
	})
	switch {
	case err != nil:
		return nil, err
	case resp.Data == nil && resp.Meta == nil:
		return nil, errShape
	case resp.Meta != nil && len(resp.Meta.Warnings) > 0:
		w := resp.Meta.Warnings[0]
		return nil, l.source.told("the list, which may be partial", []string{w.GetTitle() + " " + w.GetDetail()})
	case resp.Meta != nil && resp.Meta.Status != nil && *resp.Meta.Status != v2.LOGSAGGREGATERESPONSESTATUS_DONE:
		return nil, errors.New("datadog did not finish the list in time")
	}
	found := make([]signalbox.Finding, 0, len(resp.Data))
	for i := range resp.Data {
		if f := l.tell(&resp.Data[i]); f.Text != "" {
			found = append(found, f)
		}
	}
	if len(found) == 0 && len(resp.Data) > 0 {
		return []signalbox.Finding{{Text: fmt.Sprintf("%d logs, none of which has one of the fields %s", len(resp.Data), strings.Join(l.settings.Fields, ", "))}}, nil
	}
	return evidence.Together(found, a.Most), nil
}

func (l *glance) request(a kind.Around) v2.LogsListRequest {
	filter := v2.NewLogsQueryFilter()
	filter.SetQuery(narrowed(l.settings.Query, a.Same))
	filter.SetFrom(strconv.FormatInt(a.From.UnixMilli(), 10))
	filter.SetTo(strconv.FormatInt(a.To.UnixMilli(), 10))
	if len(l.settings.Indexes) > 0 {
		filter.SetIndexes(l.settings.Indexes)
	}
	return v2.LogsListRequest{
		Filter: filter, Page: &v2.LogsListRequestPage{Limit: ddapi.PtrInt32(logsRead)}, Sort: v2.LOGSSORT_TIMESTAMP_DESCENDING.Ptr(),
	}
}

// narrowed is the query for logs whose fields have the given values, which are
// foreign text: each stands in it as a quoted string.
// See https://docs.datadoghq.com/logs/explorer/search_syntax/.
func narrowed(query string, same map[string]string) string {
	var b strings.Builder
	b.WriteString("(" + query + ")")
	for _, field := range slices.Sorted(maps.Keys(same)) {
		b.WriteString(" " + field + `:"` + quoted.Replace(same[field]) + `"`)
	}
	return b.String()
}

var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// tell reduces a log to its listed fields.
func (l *glance) tell(log *v2.Log) signalbox.Finding {
	at := log.Attributes
	if at == nil {
		return signalbox.Finding{}
	}
	listed := make(map[string]string, len(l.settings.Fields))
	for _, name := range l.settings.Fields {
		listed[name] = telling.Clean(l.source.client.Plain(fieldOf(at, name), maxText), mostValue)
	}
	f := signalbox.Finding{Text: evidence.Fields(l.settings.Fields, listed)}
	if at.Timestamp != nil {
		f.At = at.Timestamp.UTC()
	}
	return f
}

// fieldOf is one field of a log as text; an attribute may be within others.
func fieldOf(at *v2.LogAttributes, name string) string {
	switch name {
	case "service":
		return at.GetService()
	case "status":
		return at.GetStatus()
	case "host":
		return at.GetHost()
	}
	var value any = at.Attributes
	for rest := strings.TrimPrefix(name, "@"); rest != ""; {
		within, ok := value.(map[string]any)
		if !ok {
			return ""
		}
		if whole, ok := within[rest]; ok { // a name with dots in it
			value = whole
			break
		}
		key, after, _ := strings.Cut(rest, ".")
		value, rest = within[key], after
	}
	switch v := value.(type) {
	case nil, map[string]any, []any:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}
