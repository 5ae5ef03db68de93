package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	common "github.com/prometheus/common/config"
)

// decode reads the mapping at s into several structs that share it: each key
// goes to the struct that has it, and what none has is reported. also are keys
// that are read elsewhere. It reports false where something was wrong.
func decode(s spot, also []string, targets ...any) bool {
	before := len(s.report.list)
	also = slices.Clip(also)
	var list []field
	var rest reflect.Value
	for _, target := range targets {
		inner, innerRest := fields(reflect.ValueOf(target).Elem())
		list = append(list, inner...)
		if innerRest.IsValid() {
			rest = innerRest
		}
		also = append(also, s.report.kinds[reflect.TypeOf(target).Elem()]...)
	}
	if s.must(mapping) {
		decodeFields(s, list, rest, also, later(targets))
		for _, target := range targets {
			validate(s, target)
		}
	}
	return len(s.report.list) == before
}

// later are the keys that targets name as known and not acted on.
func later(targets []any) map[string]bool {
	keys := map[string]bool{}
	for _, t := range targets {
		if l, ok := t.(laterKeys); ok {
			for _, k := range l.later() {
				keys[k] = true
			}
		}
	}
	return keys
}

func decodeFields(s spot, list []field, rest reflect.Value, also []string, later map[string]bool) {
	byName := make(map[string]field, len(list))
	known := append([]string(nil), also...)
	elsewhere := make(map[string]bool, len(also))
	for _, name := range also {
		elsewhere[name] = true
	}
	for _, f := range list {
		byName[f.name] = f
		known = append(known, f.name)
	}
	s.entries(func(name string, at spot) {
		f, ok := byName[name]
		switch {
		case ok:
			decodeField(at, name, f)
		case elsewhere[name]:
		case rest.IsValid():
			decodeEntry(at, name, rest)
		case later[name]:
			at.fail(ruleLater, nil)
		case isSecret(name):
			at.fail(ruleSecret, nil)
		default:
			unknownKey(at, name, known)
		}
	})
	for _, f := range list {
		if at := s.key(f.name); f.required && !at.has() && !slices.ContainsFunc(s.report.list, func(p Problem) bool {
			return p.Block == at.block && meant(p) == at.path
		}) {
			at.fail("is required", nil)
		}
	}
}

// unknownKey reports a key that nothing takes. A key without a value and
// unlike any other is not shown: it may be what should have been a value.
func unknownKey(at spot, name string, known []string) {
	near := nearest(name, known)
	switch {
	case near != "":
		at.fail(didYouMean+strconv.Quote(near), nil)
	case at.node.shape == empty:
		at.path = parent(at.path)
		at.fail("has a key that is not known and has no value", nil)
	default:
		at.fail("is not a known key", nil)
	}
}

func decodeField(s spot, name string, f field) {
	switch t := f.value.Type(); {
	case isSecret(name) && t.Kind() == reflect.String, t == secretType, t == proxyHeaderType, t == secretsType:
		s.fail(ruleSecret, nil)
		return
	case strings.HasSuffix(name, "_ref") && t.Kind() == reflect.String: // of a secret manager, in Prometheus' settings
		s.fail(ruleLater, nil)
		return
	}
	if !decodeValue(s, f.value) || f.value.Kind() != reflect.Int && f.enum == nil {
		return
	}
	if least, err := strconv.ParseInt(f.minimum, 10, 64); err == nil && f.value.Kind() == reflect.Int && f.value.Int() < least {
		s.fail("must be at least "+f.minimum, f.value.Int())
	}
	if f.enum != nil && f.value.Kind() == reflect.String {
		oneOf(s, f.value.String(), f.enum...)
	}
}

var (
	secretType      = reflect.TypeFor[common.Secret]()
	secretsType     = reflect.TypeFor[[]common.Secret]()
	urlType         = reflect.TypeFor[common.URL]()
	proxyHeaderType = reflect.TypeFor[common.ProxyHeader]()
	clientType      = reflect.TypeFor[common.HTTPClientConfig]()
	timeType        = reflect.TypeFor[time.Time]()
	namesType       = reflect.TypeFor[names]()
)

// decodeValue reads what is at s into v and reports whether it could.
func decodeValue(s spot, v reflect.Value) bool {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			fillBlock(v.Elem())
		}
		return decodeValue(s, v.Elem())
	}
	if v.Type() == namesType && s.node.shape == scalar {
		v.Set(reflect.ValueOf(names{s.node.text}))
		return true
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return decodeText(s, v, u)
	}
	if u, ok := v.Addr().Interface().(yamlScalar); ok && (v.Kind() != reflect.Struct || v.Type() == urlType) {
		return decodeVendor(s, u)
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == clientType && v.IsZero() {
			v.Set(reflect.ValueOf(common.DefaultHTTPClientConfig))
		}
		return decode(s, nil, v.Addr().Interface())
	case reflect.Map:
		return decodeMap(s, v)
	case reflect.Slice:
		return decodeSlice(s, v)
	default:
		return decodeScalar(s, v)
	}
}

func decodeMap(s spot, v reflect.Value) bool {
	if !s.must(mapping) {
		return false
	}
	before := len(s.report.list)
	v.SetZero()
	s.entries(func(name string, at spot) {
		decodeEntry(at, name, v)
	})
	return len(s.report.list) == before
}

// decodeEntry reads one entry of a map of strings to something.
func decodeEntry(s spot, name string, m reflect.Value) {
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	elem := reflect.New(m.Type().Elem()).Elem()
	if elem.Kind() == reflect.Interface {
		if given := s.node.any(); given != nil {
			m.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(given))
		}
		return
	}
	fillBlock(elem)
	if decodeValue(s, elem) {
		m.SetMapIndex(reflect.ValueOf(name).Convert(m.Type().Key()), elem)
	}
}

func decodeSlice(s spot, v reflect.Value) bool {
	if !s.must(sequence) {
		return false
	}
	before := len(s.report.list)
	list := reflect.MakeSlice(v.Type(), len(s.node.items), len(s.node.items))
	for i, item := range s.node.items {
		fillBlock(list.Index(i))
		decodeValue(s.item(item), list.Index(i))
	}
	v.Set(list)
	return len(s.report.list) == before
}

func decodeScalar(s spot, v reflect.Value) bool {
	if !s.must(scalar) {
		return false
	}
	if err := setScalar(v, s.node.text); err != nil {
		s.fail(err.Error(), s.node.text)
		return false
	}
	return true
}

// setScalar sets v, of a basic kind, to what text says.
func setScalar(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		switch text {
		case "true", "false":
			v.SetBool(text == "true")
		default:
			return errors.New("must be true or false")
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return errors.New("must be a whole number")
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return errors.New("must be a whole number of at least 0")
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("must be a finite number")
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("can't be given in a configuration (%s)", v.Type())
	}
	return nil
}

func decodeText(s spot, v reflect.Value, u encoding.TextUnmarshaler) bool {
	if !s.must(scalar) {
		return false
	}
	err := u.UnmarshalText([]byte(s.node.text))
	switch {
	case err == nil:
		return true
	case v.Type() == timeType:
		s.fail("must be a time in RFC 3339, like 2026-11-27T00:00:00Z", s.node.text)
	default:
		s.fail(err.Error(), s.node.text)
	}
	return false
}
