package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// field is a key that a struct takes.
type field struct {
	name     string
	value    reflect.Value
	required bool
	minimum  string // of a number, from the jsonschema tag
	enum     []string
}

// fields lists the keys of a struct, those of embedded structs included. rest
// is the field that takes all other keys; invalid: none does.
func fields(v reflect.Value) (list []field, rest reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, inline := keyName(f)
		switch {
		case !f.IsExported() || name == "-":
		case inline && f.Type.Kind() == reflect.Map:
			rest = v.Field(i)
		case inline && f.Type.Kind() == reflect.Struct:
			inner, innerRest := fields(v.Field(i))
			list = append(list, inner...)
			if innerRest.IsValid() {
				rest = innerRest
			}
		default:
			list = append(list, withRules(field{name: name, value: v.Field(i)}, f.Tag.Get("jsonschema")))
		}
	}
	return list, rest
}

// keyName is the key of a field: its yaml tag, else its json tag, else its name
// in lower case, as YAML libraries have it.
func keyName(f reflect.StructField) (name string, inline bool) {
	tag, ok := f.Tag.Lookup("yaml")
	if !ok {
		tag, ok = f.Tag.Lookup("json")
	}
	name, options, _ := strings.Cut(tag, ",")
	if name != "" {
		return name, false
	}
	if slices.Contains(strings.Split(options, ","), "inline") || f.Anonymous && !ok {
		return "", true
	}
	return strings.ToLower(f.Name), false
}

// withRules reads those rules of a jsonschema tag that are checked here.
func withRules(f field, tag string) field {
	for rule := range strings.SplitSeq(tag, ",") {
		name, value, _ := strings.Cut(rule, "=")
		switch name {
		case "required":
			f.required = true
		case "minimum":
			f.minimum = value
		case "enum":
			f.enum = append(f.enum, value)
		}
	}
	return f
}

// fill sets the fields of v, a struct, to what their default tags say.
func fill(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		if text, ok := t.Field(i).Tag.Lookup("default"); ok {
			fillOne(v.Field(i), text)
		} else if v.Field(i).Kind() == reflect.Struct && t.Field(i).IsExported() && t.Field(i).Type.PkgPath() == t.PkgPath() {
			fill(v.Field(i))
		}
	}
}

// fillBlock is fill for a block that is made as it is met; one of another package
// has defaults of its own.
func fillBlock(v reflect.Value) {
	if v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[guardKeys]().PkgPath() {
		fill(v)
	}
}

func fillOne(v reflect.Value, text string) {
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		v = v.Index(0)
	}
	var err error
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err = u.UnmarshalText([]byte(text))
	} else {
		err = setScalar(v, text)
	}
	if err != nil { // a wrong tag in keys.go: no configuration could be read
		panic(fmt.Sprintf("config: default %q: %v", text, err))
	}
}
