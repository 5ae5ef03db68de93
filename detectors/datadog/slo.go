package datadog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
)

// slo is what an SLO is: what its history is asked with.
type slo struct {
	id, name, kind string
	shown          string             // the name, as it may be told
	targets        map[string]float64 // per cent, by timeframe
	tags           []string
}

// resolve finds the SLO that a question is about.
func (s *Source) resolve(ctx context.Context, q question) (slo, error) {
	if q.id != "" {
		return s.objects.get(ctx, "id "+q.id, func(ctx context.Context) (slo, error) { return s.byID(ctx, q.id) })
	}
	return s.objects.get(ctx, "name "+q.name, func(ctx context.Context) (slo, error) {
		found, err := s.search(ctx, q.name, func(d *v1.SearchServiceLevelObjectiveData) bool { return d.Attributes.GetName() == q.name })
		if err != nil {
			return slo{}, err
		}
		return s.byID(ctx, found.GetId())
	})
}

func (s *Source) byID(ctx context.Context, id string) (slo, error) {
	resp, err := call(ctx, s, "slo", func(ctx context.Context) (v1.SLOResponse, *http.Response, error) {
		return s.slos.GetSLO(ctx, id)
	})
	if err != nil {
		return slo{}, err
	}
	if len(resp.Errors) > 0 {
		return slo{}, s.told("the SLO", resp.Errors)
	}
	d := resp.Data
	if d == nil || d.GetId() != id || len(d.Thresholds) == 0 {
		return slo{}, errShape
	}
	out := slo{
		id: id, name: d.GetName(), shown: s.client.Plain(d.GetName(), maxText), kind: s.client.Plain(string(d.GetType()), 60),
		targets: map[string]float64{}, tags: s.redacted(d.Tags),
	}
	for _, t := range d.Thresholds {
		if t.UnparsedObject == nil && t.Target > 0 && t.Target < 100 {
			out.targets[string(t.Timeframe)] = t.Target
		}
	}
	return out, nil
}

// told is an error that Datadog tells inside of a 200.
func (s *Source) told(of string, said []string) error {
	text := s.client.Plain(strings.Join(said, "; "), maxText)
	if text == "" {
		text = "it does not say which"
	}
	return fmt.Errorf("datadog answers with errors for %s: %s", of, text)
}

// Bounds of a search.
const (
	searchPage  = 100
	searchPages = 10
)

// search looks for the one SLO that fits, among those that a query finds.
func (s *Source) search(ctx context.Context, query string, fits func(*v1.SearchServiceLevelObjectiveData) bool) (*v1.SearchServiceLevelObjectiveData, error) {
	var found *v1.SearchServiceLevelObjectiveData
	for number := range int64(searchPages) {
		list, err := s.searchPage(ctx, query, number)
		if err != nil {
			return nil, err
		}
		for _, item := range list {
			switch {
			case item.Data == nil || item.Data.Attributes == nil || item.Data.GetId() == "":
				return nil, errShape
			case !fits(item.Data):
			case found != nil && found.GetId() != item.Data.GetId():
				return nil, errors.New("more than one SLO has that name: give its id")
			default:
				found = item.Data
			}
		}
		switch {
		case len(list) >= searchPage:
		case found == nil:
			return nil, errors.New("the search of SLOs finds none of that name")
		default:
			return found, nil
		}
	}
	return nil, fmt.Errorf("the search of SLOs finds more than %d: give the id", searchPage*searchPages)
}

func (s *Source) searchPage(ctx context.Context, query string, number int64) ([]v1.SearchServiceLevelObjective, error) {
	resp, err := call(ctx, s, "slo_search", func(ctx context.Context) (v1.SearchSLOResponse, *http.Response, error) {
		return s.slos.SearchSLO(ctx, *v1.NewSearchSLOOptionalParameters().WithQuery(query).WithPageSize(searchPage).WithPageNumber(number))
	})
	if err != nil {
		return nil, err
	}
	if resp.Data == nil || resp.Data.Attributes == nil || resp.Data.Attributes.Slos == nil {
		return nil, errShape
	}
	return resp.Data.Attributes.Slos, nil
}

// history asks how fast the error budget burned over a window: 1 is the speed
// at which it lasts exactly as long as the SLO's timeframe.
func (s *Source) history(ctx context.Context, q question, at time.Time) ([]signalbox.Sample, error) {
	o, err := s.resolve(ctx, q)
	if err != nil {
		return nil, err
	}
	timeframe, target, err := o.aim(q)
	if err != nil {
		return nil, err
	}
	window := q.window
	if window == 0 {
		window = lengthOf(timeframe)
	}
	to := at.Unix()
	from := to - int64(window/time.Second)
	resp, err := call(ctx, s, "slo_history", func(ctx context.Context) (v1.SLOHistoryResponse, *http.Response, error) {
		return s.slos.GetSLOHistory(ctx, o.id, from, to, *v1.NewGetSLOHistoryOptionalParameters().WithTarget(target).WithApplyCorrection(true))
	})
	if err != nil {
		return nil, err
	}
	sli, err := s.readSLI(resp, from, to)
	if err != nil {
		return nil, s.corrected(ctx, o.id, from, to, err)
	}
	burn := (100 - sli) / (100 - target)
	return []signalbox.Sample{{Labels: o.labels(timeframe, target), Value: burn, At: time.Unix(to, 0).UTC()}}, nil
}

// aim is the timeframe and the target, in per cent, that a question means.
func (o slo) aim(q question) (timeframe string, target float64, err error) {
	timeframe, target = q.timeframe, q.target
	for _, t := range timeframes {
		if _, has := o.targets[t]; has && timeframe == "" {
			timeframe = t
		}
	}
	if target == 0 {
		target = o.targets[timeframe]
	}
	if target == 0 || timeframe == "" {
		return "", 0, errors.New("the SLO has no target between 0 and 100 for that timeframe")
	}
	return timeframe, target, nil
}

// readSLI reads the SLI, in per cent, out of a history. Null, no_data, errors
// beside the data and a replay under way are errors: none of them is 0.
func (s *Source) readSLI(resp v1.SLOHistoryResponse, from, to int64) (float64, error) {
	if errs := resp.GetErrors(); len(errs) > 0 {
		said := make([]string, len(errs))
		for i := range errs {
			said[i] = errs[i].GetError()
		}
		return 0, s.told("the SLO's history", said)
	}
	d := resp.Data
	if d == nil || d.Overall == nil || d.Overall.UnparsedObject != nil || d.FromTs == nil || d.ToTs == nil {
		return 0, errShape
	}
	if *d.FromTs != from || *d.ToTs != to {
		return 0, errors.New("the answer is for another time than was asked about")
	}
	if why := doubt(d.Overall); why != "" {
		return 0, s.told("the SLO's history", []string{why})
	}
	if d.Series != nil && d.Series.GetMessage() != "" {
		return 0, s.told("the SLO's series", []string{d.Series.GetMessage()})
	}
	sli := d.Overall.SliValue.Get()
	switch {
	case sli == nil:
		return 0, errors.New("the SLI is null: there is no data for it")
	case math.IsNaN(*sli) || *sli < 0 || *sli > 100+1e-6:
		return 0, fmt.Errorf("the SLI is %g, and must be between 0 and 100", *sli)
	}
	return min(*sli, 100), nil
}

// noData is the third state in the history of a monitor SLO.
const noData = 2

// doubt says why a history proves nothing; "" when it does.
func doubt(o *v1.SLOHistorySLIData) string {
	if len(o.Errors) > 0 {
		var said []string
		for _, e := range o.Errors {
			said = append(said, e.ErrorType+" "+e.ErrorMessage)
		}
		return strings.Join(said, "; ")
	}
	if state, _ := o.AdditionalProperties["state"].(string); state == string(v1.SLOSTATE_NO_DATA) {
		return "its state is no_data"
	}
	if o.GetPreview() {
		return "a replay is in progress, and the SLI is not accurate yet"
	}
	if n := len(o.History); n > 0 {
		last := o.History[n-1]
		if len(last) != 2 {
			return "its state history can't be read"
		}
		if last[1] == noData {
			return "there is no data since " + time.Unix(int64(last[0]), 0).UTC().Format(time.RFC3339)
		}
	}
	return ""
}

// corrected adds to err that a correction covers the window, so that people
// know why there is no SLI. What it can't find out changes nothing.
func (s *Source) corrected(ctx context.Context, id string, from, to int64, err error) error {
	if errors.Is(err, errShape) {
		return err
	}
	list, failed := s.corrections.get(ctx, id, func(ctx context.Context) ([]v1.SLOCorrection, error) {
		resp, err := call(ctx, s, "slo_corrections", func(ctx context.Context) (v1.SLOCorrectionListResponse, *http.Response, error) {
			return s.slos.GetSLOCorrections(ctx, id)
		})
		return resp.Data, err
	})
	if failed != nil {
		return err
	}
	for _, c := range list {
		a := c.Attributes
		if a == nil || a.Start == nil || a.GetRrule() != "" { // when one that recurs is in force is not told
			continue
		}
		if end := a.End.Get(); a.GetStart() <= from && (end == nil || *end >= to) {
			return fmt.Errorf("%w (a correction covers the whole window: %s)", err, s.client.Plain(string(a.GetCategory()), 60))
		}
	}
	return err
}

// state asks what Datadog's index says of an SLO's state. The sample's time is
// when it was computed; its value is what is left of the error budget, NaN
// where that is not told.
func (s *Source) state(ctx context.Context, q question) ([]signalbox.Sample, error) {
	o, err := s.resolve(ctx, q)
	if err != nil {
		return nil, err
	}
	timeframe, target, err := o.aim(q)
	if err != nil {
		return nil, err
	}
	found, err := s.search(ctx, o.name, func(d *v1.SearchServiceLevelObjectiveData) bool { return d.GetId() == o.id })
	if err != nil {
		return nil, err
	}
	for _, status := range found.Attributes.OverallStatus {
		if string(status.GetTimeframe()) == timeframe {
			return s.indexed(o, timeframe, target, status)
		}
	}
	return nil, errors.New("the index has no state of the SLO for that timeframe")
}

func (s *Source) indexed(o slo, timeframe string, target float64, status v1.SLOOverallStatuses) ([]signalbox.Sample, error) {
	switch {
	case status.UnparsedObject != nil || status.State == nil || status.IndexedAt == nil || !status.State.IsValid():
		return nil, errShape
	case status.GetError() != "":
		return nil, s.told("the SLO's state", []string{status.GetError()})
	case *status.State == v1.SLOSTATE_NO_DATA:
		return nil, errors.New("the SLO's state is no_data")
	case status.Status.Get() == nil:
		return nil, errors.New("the SLO's status is null: there is no data for it")
	}
	labels := o.labels(timeframe, target)
	labels[stateLabel] = string(*status.State)
	left := math.NaN()
	if v := status.ErrorBudgetRemaining.Get(); v != nil {
		left = *v / 100
	}
	return []signalbox.Sample{{Labels: labels, Value: left, At: time.Unix(*status.IndexedAt, 0).UTC()}}, nil
}

// labels are what an incident of the SLO can be named by: its tags, each key
// once, below what it is.
func (o slo) labels(timeframe string, target float64) map[string]string {
	labels := tagLabels(o.tags)
	labels["slo_id"], labels["slo"], labels["slo_type"] = o.id, o.shown, o.kind
	labels["timeframe"], labels["target"] = timeframe, strconv.FormatFloat(target, 'g', -1, 64)
	return labels
}

// redacted leaves out of texts what we sent as credentials.
func (s *Source) redacted(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = s.client.Redact(text)
	}
	return out
}

// maxTags bounds how many tags become labels.
const maxTags = 64

// tagLabels makes labels of tags ("env:prod"). A key with several values has
// the first in order; what can't be a label is left out.
func tagLabels(tags []string) map[string]string {
	labels := map[string]string{}
	for _, tag := range slices.Sorted(slices.Values(tags)) {
		name, value, ok := strings.Cut(tag, ":")
		if _, there := labels[name]; there || !ok || len(labels) >= maxTags || strings.HasPrefix(name, "__") || !model.LegacyValidation.IsValidLabelName(name) {
			continue
		}
		labels[name] = httpclient.Plain(value, maxText)
	}
	return labels
}
