package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

var errBare = errors.New("has several values, or one with other characters than letters, digits and _, which this kind of data source may escape in its own way: name its format, like ${name:raw}")

var errQuote = errors.New("has a value with a quote or a backslash, which versions of Grafana escape in different ways: name its format, like ${name:raw}")

// format writes a value as a query wants it. name is the format that the query
// names; "": that of the data source's language.
// See https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/#advanced-variable-format-options.
func format(v value, name string, lang language) (string, error) {
	name, args, _ := strings.Cut(name, ":")
	if v.whole { // a variable's own value for all is never escaped, except where it must be
		switch name {
		case "text", "percentencode", "queryparam":
		default:
			return v.values[0], nil
		}
	}
	switch name {
	case "":
		return formatDefault(v, lang)
	case "raw", "csv":
		return strings.Join(v.values, ","), nil
	case "pipe":
		return strings.Join(v.values, "|"), nil
	case "join":
		if args == "" {
			args = ","
		}
		return strings.Join(v.values, args), nil
	case "glob":
		return glob(v), nil
	case "text":
		return strings.Join(v.texts, " + "), nil
	}
	return formatEscaped(v, name)
}

func glob(v value) string {
	if len(v.values) > 1 {
		return "{" + strings.Join(v.values, ",") + "}"
	}
	return strings.Join(v.values, ",")
}

// formatEscaped are the formats that change what they write.
func formatEscaped(v value, name string) (string, error) {
	switch name {
	case "regex":
		return alternatives(v, escapeRegex, true), nil
	case "singlequote":
		return quotedBy(v, "'", `\'`, ","), nil
	case "doublequote":
		return quotedBy(v, `"`, `\"`, ","), nil
	case "sqlstring":
		return sqlString(v), nil
	case "json":
		return formatJSON(v)
	case "lucene":
		return formatLucene(v), nil
	case "distributed":
		return strings.Join(v.values, ","+v.name+"="), nil
	case "percentencode":
		if v.many {
			return encodeComponent("{" + strings.Join(v.values, ",") + "}"), nil
		}
		return encodeComponent(v.values[0]), nil
	case "queryparam":
		list := make([]string, len(v.values))
		for i, one := range v.values {
			list[i] = "var-" + v.name + "=" + encodeComponent(one)
		}
		return strings.Join(list, "&"), nil
	}
	return "", fmt.Errorf("is written in the format %q, which is not known here", plain(name))
}

// formatDefault is how a data source's own language wants a value.
func formatDefault(v value, lang language) (string, error) {
	switch lang {
	case promQL, logQL:
		for _, one := range v.values {
			if strings.ContainsAny(one, `'"`) || strings.Contains(one, `\`) && !v.choice {
				return "", errQuote
			}
		}
		if !v.choice {
			return strings.Join(v.values, ","), nil
		}
		return alternatives(v, escapeQuotedRegex, lang == promQL), nil
	case sqlLanguage:
		if v.choice {
			return quotedBy(v, "'", "''", ","), nil
		}
		return strings.ReplaceAll(v.values[0], "'", "''"), nil
	}
	if len(v.values) != 1 || lang == otherLanguage && !isBare(v.values[0]) {
		return "", errBare
	}
	return v.values[0], nil
}

// isBare reports whether no data source escapes a value.
func isBare(s string) bool { return s == "" || isName(s) }

// alternatives joins values of a regular expression.
func alternatives(v value, escape func(string) string, parentheses bool) string {
	list := make([]string, len(v.values))
	for i, one := range v.values {
		list[i] = escape(one)
	}
	if len(list) == 1 || !parentheses {
		return strings.Join(list, "|")
	}
	return "(" + strings.Join(list, "|") + ")"
}

// escapeWith puts before before each of the characters of set.
func escapeWith(s, set, before string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(set, r) {
			b.WriteString(before)
		}
		b.WriteRune(r)
	}
	return b.String()
}

func escapeRegex(s string) string { return escapeWith(s, `\^$*+?.()|[]{}/`, `\`) }

// escapeQuotedRegex escapes for a regular expression within a quoted string.
func escapeQuotedRegex(s string) string {
	return escapeWith(strings.ReplaceAll(s, `\`, `\\\\`), `$^*{}[]+?.()|`, `\\`)
}

func quotedBy(v value, quote, escaped, between string) string {
	list := make([]string, len(v.values))
	for i, one := range v.values {
		list[i] = quote + strings.ReplaceAll(one, quote, escaped) + quote
	}
	return strings.Join(list, between)
}

func sqlString(v value) string {
	list := make([]string, len(v.values))
	for i, one := range v.values {
		list[i] = "'" + strings.NewReplacer("'", "''", `"`, `\"`).Replace(one) + "'"
	}
	return strings.Join(list, ",")
}

func formatJSON(v value) (string, error) {
	if !v.many {
		return v.values[0], nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.values); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func formatLucene(v value) string {
	if !v.many {
		return escapeLucene(v.values[0])
	}
	list := make([]string, len(v.values))
	for i, one := range v.values {
		list[i] = `"` + escapeLucene(one) + `"`
	}
	return "(" + strings.Join(list, " OR ") + ")"
}

func escapeLucene(s string) string {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	return escapeWith(s, "!*+-=<> \t\r\n&|()[]{}^~?:\\/\"", `\`)
}

// encodeComponent encodes all but unreserved characters (RFC 3986).
func encodeComponent(s string) string {
	return strings.NewReplacer("+", "%20").Replace(url.QueryEscape(s))
}
