package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads GoTrue's notation of how many may be sent: "30" is 30 an hour, and
// "30/10m" 30 in ten minutes. Both are buckets that hold as many as they get in
// their period. None at all is an error: GoTrue would send nothing, and a Limit
// of zero everything.
func Parse(text string) (Limit, error) {
	count, over, timed := strings.Cut(strings.TrimSpace(text), "/")
	period := time.Hour
	if timed {
		var err error
		if period, err = time.ParseDuration(over); err != nil {
			return Limit{}, fmt.Errorf("%q has no duration such as 10m behind the stroke", text)
		}
	}
	rate, err := strconv.ParseFloat(count, 64)
	if err != nil || rate != float64(int32(rate)) {
		return Limit{}, fmt.Errorf("%q is neither a whole number nor one with a duration, as 30/1h is", text)
	}
	if rate < 1 || period <= 0 {
		return Limit{}, fmt.Errorf("%q lets nothing through", text)
	}
	return Limit{Rate: int(rate), Period: period, Burst: int(rate)}, nil
}
