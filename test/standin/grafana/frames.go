package grafana

import (
	"math"
	"net/http"
	"time"
)

// Frame is a data frame: columns of one length.
type Frame struct {
	Fields  []Field
	Notices []Notice
}

// Notice is a remark on a frame.
type Notice struct{ Severity, Text string }

// Field is one column. Values are time.Time, float64, string or nil.
type Field struct {
	Name, Type string // time, number, string, boolean, other
	Labels     map[string]string
	Values     []any
}

// wire is a result as the plugin SDK writes it.
func (a Result) wire(ref string) map[string]any {
	status := http.StatusOK
	out := map[string]any{}
	if a.Error != "" {
		if status = a.Status; status == 0 {
			status = http.StatusBadRequest
		}
		out["error"], out["errorSource"] = a.Error, "downstream"
	}
	frames := []any{}
	for _, f := range a.Frames {
		frames = append(frames, f.wire(ref))
	}
	out["status"], out["frames"] = status, frames
	return out
}

func (f Frame) wire(ref string) map[string]any {
	fields, values, entities, nanos := []any{}, []any{}, []any{}, []any{}
	special, below := false, false
	for _, field := range f.Fields {
		w := map[string]any{"name": field.Name, "type": field.Type, "typeInfo": map[string]any{"frame": field.Type}}
		if field.Labels != nil {
			w["labels"] = field.Labels
		}
		fields = append(fields, w)
		column, odd, ns := field.wire()
		values = append(values, column)
		if odd != nil {
			special = true
		}
		entities, nanos = append(entities, odd), append(nanos, ns)
		below = below || ns != nil
	}
	schema := map[string]any{"refId": ref, "fields": fields}
	if len(f.Notices) > 0 {
		var list []any
		for _, n := range f.Notices {
			list = append(list, map[string]any{"severity": n.Severity, "text": n.Text})
		}
		schema["meta"] = map[string]any{"notices": list}
	}
	data := map[string]any{"values": values}
	if special {
		data["entities"] = entities
	}
	if below {
		data["nanos"] = nanos
	}
	return map[string]any{"schema": schema, "data": data}
}

// wire is a column, where its values are that JSON can't write, and the
// nanoseconds below its milliseconds.
func (f Field) wire() (column []any, odd map[string]any, nanos []int64) {
	column = []any{}
	note := func(kind string, row int) any {
		if odd == nil {
			odd = map[string]any{}
		}
		rows, _ := odd[kind].([]int)
		odd[kind] = append(rows, row)
		return nil
	}
	for row, v := range f.Values {
		switch v := v.(type) {
		case time.Time:
			column = append(column, v.UnixMilli())
			if ns := int64(v.Nanosecond() % 1e6); ns != 0 || nanos != nil {
				for len(nanos) < row {
					nanos = append(nanos, 0)
				}
				nanos = append(nanos, ns)
			}
		case float64:
			switch {
			case math.IsNaN(v):
				column = append(column, note("NaN", row))
			case math.IsInf(v, 1):
				column = append(column, note("Inf", row))
			case math.IsInf(v, -1):
				column = append(column, note("NegInf", row))
			default:
				column = append(column, v)
			}
		default:
			column = append(column, v)
		}
	}
	return column, odd, nanos
}
