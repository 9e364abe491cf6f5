package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
)

// mistake is one in a value, whose reader knows the path.
func mistake(code channel.ConfigCode, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Code: code, Problem: problem, Remedy: remedy}
}

// scalar reads what is neither a list nor an object.
func (r *reader) scalar(n *node, f *Field) (any, *channel.ConfigError) {
	switch {
	case f.Kind == Flag:
		return flag(n)
	case f.Kind == Number:
		return number(n, f)
	case f.Kind == Duration:
		return duration(n, f)
	case n.kind != textNode && (n.kind != numberNode || f.Pattern == ""):
		return nil, mistake(channel.CodeInvalid, fmt.Sprintf("is %s, not text", n.kind), "put it in quotes if it is meant to be text")
	case f.Kind == Secret:
		return r.secret(n.text)
	case f.Kind == Address:
		if r.reference(n.text) != nil && !strings.Contains(n.text, "://") {
			return nil, mistake(channel.CodeInvalid, "is a reference, which a URL cannot be", maskRemedy)
		}
	case f.verbatim:
		if wrong := r.reference(n.text); wrong != nil {
			return nil, wrong
		}
	}
	return r.text(n.text, f)
}

const maskRemedy = "write the URL with a replacement such as {token} in it, and give the secret part in masks"

func flag(n *node) (any, *channel.ConfigError) {
	const how = "write true or false, without quotes"
	if n.kind != boolNode {
		return nil, mistake(channel.CodeInvalid, fmt.Sprintf("is %s, not true or false", n.kind), how)
	}
	switch strings.ToLower(n.text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, mistake(channel.CodeInvalid, "is neither true nor false", how) // a tag can say so of anything
}

func (r *reader) text(s string, f *Field) (any, *channel.ConfigError) {
	switch count := utf8.RuneCountInString(s); {
	case s == "" && f.Required:
		return nil, mistake(channel.CodeMissing, "is empty", "give it: "+lowerFirst(firstLine(f.Doc)))
	case s == "" && !f.mayBeEmpty && f.Values == nil:
		return nil, mistake(channel.CodeMissing, "is empty", "give a value, or remove it")
	case f.Max > 0 && count > f.Max:
		return nil, mistake(channel.CodeRange, fmt.Sprintf("has %d characters", count), fmt.Sprintf("use at most %d", f.Max))
	case f.Values != nil && !slices.Contains(f.Values, s):
		remedy := "use one of " + strings.Join(f.Values, ", ")
		if like := r.similar(s, f.Values); like != "" {
			remedy = "did you mean " + like + "? " + remedy
		}
		return nil, mistake(channel.CodeUnknown, "is not one of the values it may have", remedy)
	case f.Pattern != "" && !r.matches(f.Pattern, s):
		return nil, mistake(channel.CodeInvalid, "does not have its form", "write "+f.Form)
	}
	return s, nil
}

func number(n *node, f *Field) (any, *channel.ConfigError) {
	if n.kind != numberNode {
		return nil, mistake(channel.CodeInvalid, fmt.Sprintf("is %s, not a number", n.kind), "write digits, without quotes")
	}
	i, ok := atoi(n.text)
	switch {
	case !ok:
		return nil, mistake(channel.CodeInvalid, "is not a whole number from 0 to two thousand million", "write digits only")
	case i < f.Min || f.Max > 0 && i > f.Max:
		if f.Max == f.Min {
			return nil, mistake(channel.CodeRange, "is not "+strconv.Itoa(f.Min), "write "+strconv.Itoa(f.Min))
		}
		if f.Max > 0 {
			return nil, mistake(channel.CodeRange, "is out of range", fmt.Sprintf("use %d to %d", f.Min, f.Max))
		}
		return nil, mistake(channel.CodeRange, "is too small", fmt.Sprintf("use %d or more", f.Min))
	}
	return i, nil
}

// maxDuration is far beyond what anybody waits for, and leaves room for sums.
const maxDuration = 100 * 365 * 24 * time.Hour

func duration(n *node, f *Field) (any, *channel.ConfigError) {
	how := "write a number and a unit, such as 90s, 15m or 2h"
	if f.Word != "" {
		how += ", or " + f.Word
	}
	switch n.kind {
	case textNode:
	case numberNode:
		return nil, mistake(channel.CodeInvalid, "has no unit", how)
	default:
		return nil, mistake(channel.CodeInvalid, fmt.Sprintf("is %s, not a time", n.kind), how)
	}
	if f.Word != "" && n.text == f.Word {
		return time.Duration(-1), nil
	}
	d, err := parseDuration(n.text)
	switch {
	case err != nil:
		return nil, mistake(channel.CodeInvalid, "is not a time", how)
	case d < 0:
		return nil, mistake(channel.CodeRange, "is negative", how)
	case d == 0 && f.Min > 0:
		return nil, mistake(channel.CodeRange, "is zero", notZero(f))
	case f.Longest > 0 && d > f.Longest:
		return nil, mistake(channel.CodeRange, "is longer than "+writeDuration(f.Longest), "give a shorter time")
	case d > maxDuration:
		return nil, mistake(channel.CodeRange, "is longer than a hundred years", how)
	}
	return d, nil
}

// parseDuration is time.ParseDuration with days of 24 hours before everything else, as in 7d or 1d12h.
func parseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	const most = int(maxDuration/(24*time.Hour)) + 1
	n, isNumber := atoi(days)
	if !isNumber {
		return 0, errors.New("not a number of days")
	}
	var d time.Duration
	var err error
	if rest != "" {
		if d, err = time.ParseDuration(rest); d < 0 || strings.HasPrefix(rest, "+") {
			err = errors.New("a sign within a time")
		}
	}
	return time.Duration(min(n, most))*24*time.Hour + min(d, maxDuration), err
}

// notZero says what to write in place of a zero that would silently mean the default.
func notZero(f *Field) string {
	switch {
	case f.Required:
		return "give a longer time"
	case f.Word != "":
		return "write " + f.Word + ", or leave it out for the default"
	}
	return "give a longer time, or leave it out for the default"
}

// writeDuration is the shortest form that reads as d.
func writeDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
