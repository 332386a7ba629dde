package ratelimit_test

import (
	"testing"
	"time"

	"github.com/madbase/madbase/platform/ratelimit"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ratelimit.Limit{
		"30":      {Rate: 30, Period: time.Hour, Burst: 30},
		"100.0":   {Rate: 100, Period: time.Hour, Burst: 100},
		"100/24h": {Rate: 100, Period: 24 * time.Hour, Burst: 100},
		" 5/1m ":  {Rate: 5, Period: time.Minute, Burst: 5},
	} {
		if got, err := ratelimit.Parse(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "0", "-1", "1.5", "1e99", "NaN", "5/", "5/0s", "5/-1m", "5/1h/2", "0/1h", "/1h"} {
		if got, err := ratelimit.Parse(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"30", "30/10m", "x", "-1/1h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := ratelimit.Parse(text); err == nil && (l.Rate < 1 || l.Period <= 0) {
			t.Errorf("%q: %+v", text, l)
		}
	})
}
