package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// allValue is the value that stands for all options of a variable.
const allValue = "$__all"

// maxValues bounds the values of one variable.
const maxValues = 1_000

// variable is one of a dashboard, as it was saved.
// See https://grafana.com/docs/grafana/latest/dashboards/variables/.
type variable struct {
	Name       text            `json:"name"`
	Type       text            `json:"type"`
	Query      text            `json:"query"`
	Current    option          `json:"current"`
	Options    []option        `json:"options"`
	Multi      bool            `json:"multi"`
	IncludeAll bool            `json:"includeAll"`
	AllValue   text            `json:"allValue"`
	Regex      text            `json:"regex"`
	Refresh    number          `json:"refresh"`      // 0: its options stay as they were saved
	Format     text            `json:"valuesFormat"` // of a custom variable's query: csv, or what is not read here
	Auto       bool            `json:"auto"`
	AutoCount  number          `json:"auto_count"`
	AutoMin    text            `json:"auto_min"`
	Datasource datasourceRef   `json:"datasource"`
	Filters    json.RawMessage `json:"filters"`
	Base       json.RawMessage `json:"baseFilters"`
}

// UnmarshalJSON keeps of a variable what fits: one of another shape is missed
// where it is used.
func (v *variable) UnmarshalJSON(b []byte) error {
	type plain variable
	_ = json.Unmarshal(b, (*plain)(v))
	return nil
}

// option is one value of a variable and how people see it.
type option struct {
	Text  texts `json:"text"`
	Value texts `json:"value"`
}

// texts is one string or several. A number or a truth counts as its JSON text.
type texts struct {
	list []string
	many bool // it was a list
}

// UnmarshalJSON reads a string or a list of strings.
func (t *texts) UnmarshalJSON(b []byte) error {
	var list []text
	if json.Unmarshal(b, &list) == nil && string(b) != "null" {
		*t = texts{many: true}
		for _, s := range list {
			t.list = append(t.list, string(s))
		}
		return nil
	}
	var one text
	if err := one.UnmarshalJSON(b); err != nil {
		return err
	}
	*t = texts{}
	if string(b) != "null" {
		t.list = []string{string(one)}
	}
	return nil
}

// value is what a variable stands for at one moment.
type value struct {
	name   string
	values []string
	texts  []string
	many   bool // it is formatted as a list
	choice bool // its variable is of the kind that may have several values
	whole  bool // the variable's own value for all, which is taken as it is
}

var (
	errNoValue  = errors.New("has no saved value")
	errNotKnown = errors.New("is of a kind that only a browser knows")
)

// value is the value of a variable: the overridden one, else the saved one.
func (s *scope) value(v *variable) (value, error) {
	out := value{name: string(v.Name), choice: v.Multi || v.IncludeAll}
	given, overridden := s.overrides[string(v.Name)]
	switch v.Type {
	case "constant":
		out.values = []string{string(v.Query)}
	case "textbox":
		out.values = v.Current.Value.list
		if len(out.values) == 0 {
			out.values = []string{string(v.Query)}
		}
	case "custom", "query", "datasource", "interval":
		out.values, out.texts, out.many = v.Current.Value.list, v.Current.Text.list, v.Current.Value.many
	default:
		return out, fmt.Errorf("%w (%s)", errNotKnown, plain(string(v.Type)))
	}
	if overridden {
		out.values, out.texts, out.many = []string{given}, nil, false
		if v.Multi {
			out.values = commaSeparated(given)
			out.many = len(out.values) > 1
		}
	}
	return s.settle(v, out)
}

// settle resolves what stands for other values.
func (s *scope) settle(v *variable, out value) (value, error) {
	var err error
	switch {
	case slices.Contains(out.values, allValue):
		out, err = s.everything(v, out)
	case v.Type == "interval":
		out, err = s.intervalValue(v, out)
	case v.Type == "datasource":
		out, err = s.datasourceValue(v, out)
	}
	switch {
	case err != nil:
		return out, err
	case len(out.values) == 0 || len(out.values) == 1 && out.values[0] == "" && v.Type != "textbox" && v.Type != "constant":
		return out, errNoValue
	case len(out.values) > maxValues:
		return out, fmt.Errorf("has more than %d values", maxValues)
	case len(out.texts) != len(out.values):
		out.texts = out.values
	}
	for _, one := range out.values {
		if name := s.reference(one); name != "" {
			return out, fmt.Errorf("has a value that names another variable, $%s, which is not filled in twice", name)
		}
	}
	return out, nil
}

// everything is the value for all: the variable's own, or the list of options
// where that is certain.
func (s *scope) everything(v *variable, out value) (value, error) {
	if !v.IncludeAll {
		return out, errors.New("has no value for all of its options (includeAll is off)")
	}
	if v.AllValue != "" {
		out.values, out.texts, out.many, out.whole = []string{string(v.AllValue)}, []string{"All"}, false, true
		return out, nil
	}
	out.values, out.texts, out.many = nil, nil, true
	switch {
	case v.Type == "custom" && (v.Format == "" || v.Format == "csv"):
		for _, o := range customOptions(string(v.Query)) {
			out.values, out.texts = append(out.values, o[1]), append(out.texts, o[0])
		}
	case v.Type == "query" && v.Refresh == 0:
		for _, o := range v.Options {
			if len(o.Value.list) == 1 && o.Value.list[0] != allValue {
				out.values = append(out.values, o.Value.list[0])
			}
		}
	default:
		return out, errors.New(`stands for all of its options, and those are looked up by the browser: give it a "custom all value", like .*`)
	}
	if len(out.values) == 0 {
		return out, errNoValue
	}
	return out, nil
}

// intervalValue resolves the automatic interval, which follows the range.
func (s *scope) intervalValue(v *variable, out value) (value, error) {
	if len(out.values) != 1 || !strings.HasPrefix(out.values[0], "$__auto") {
		return out, nil
	}
	r, err := s.times()
	if err != nil {
		return out, err
	}
	least, err := parseInterval(or(string(v.AutoMin), "10s"))
	if err != nil {
		return out, err
	}
	count := int64(v.AutoCount)
	if count <= 0 {
		count = 30
	}
	out.values, out.texts = []string{formatInterval(calculate(r.length(), count, least))}, nil
	return out, nil
}

// datasourceValue resolves a variable whose values are data sources to a uid.
// A dashboard that was never saved with one means the only one of that type.
func (s *scope) datasourceValue(v *variable, out value) (value, error) {
	name := ""
	switch {
	case len(out.values) > 1:
		return out, errors.New("stands for several data sources: give one under variables")
	case len(out.values) == 1:
		name = out.values[0]
	}
	if name == "" {
		var fits []string
		for _, d := range s.sources {
			if d.Type == string(v.Query) && matches(string(v.Regex), d.Name) {
				fits = append(fits, d.UID)
			}
		}
		if len(fits) != 1 {
			return out, fmt.Errorf("%w, and there are %d data sources of its type: give one under variables", errNoValue, len(fits))
		}
		name = fits[0]
	}
	d, err := sourceNamed(s.sources, name, string(v.Query))
	if err != nil {
		return out, fmt.Errorf("can't be resolved: %w", err)
	}
	out.values, out.texts, out.many = []string{d.UID}, []string{d.Name}, false
	return out, nil
}

// matches reports whether a name fits a variable's filter, "/re/" or "re". One
// that is not understood fits nothing.
func matches(filter, name string) bool {
	if filter == "" {
		return true
	}
	re, err := regexp.Compile(strings.TrimSuffix(strings.TrimPrefix(filter, "/"), "/"))
	return err == nil && re.MatchString(name)
}

// commaSeparated splits at commas that have no backslash before them.
func commaSeparated(s string) []string {
	var list []string
	var one strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == ',':
			one.WriteByte(',')
			i++
		case s[i] == ',':
			list = append(list, strings.TrimSpace(one.String()))
			one.Reset()
		default:
			one.WriteByte(s[i])
		}
	}
	return append(list, strings.TrimSpace(one.String()))
}

// customOptions are the options of a custom variable, each as "value" or as
// "text : value": pairs of text and value.
func customOptions(query string) [][2]string {
	var list [][2]string
	for _, one := range commaSeparated(query) {
		switch label, v, pair := strings.Cut(one, " : "); {
		case one == "":
		case pair:
			list = append(list, [2]string{strings.TrimSpace(label), strings.TrimSpace(v)})
		default:
			list = append(list, [2]string{one, one})
		}
	}
	return list
}
