package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of a rate.
const (
	maxRateCount  = 1_000_000
	minRatePeriod = time.Second
	maxRatePeriod = time.Hour
)

// rateOff is the word for no limit.
const rateOff = "off"

// Rate is how often something may happen: Count times in Per. The zero Rate is
// no limit, which an operator has to write out.
type Rate struct {
	Count int
	Per   time.Duration
}

// String returns the form that settings have, such as 1200/1m.
func (r Rate) String() string {
	if r == (Rate{}) {
		return rateOff
	}
	return strconv.Itoa(r.Count) + "/" + durationText(r.Per)
}

// parseRate reads "1200/1m", "10/s" or "off".
func parseRate(text string) (Rate, error) {
	if strings.EqualFold(text, rateOff) {
		return Rate{}, nil
	}
	count, period, found := strings.Cut(text, "/")
	if !found {
		return Rate{}, errors.New("no period")
	}
	if period != "" && (period[0] < '0' || period[0] > '9') {
		period = "1" + period
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return Rate{}, fmt.Errorf("count: %w", err)
	}
	per, err := time.ParseDuration(period)
	if err != nil {
		return Rate{}, fmt.Errorf("period: %w", err)
	}
	if n == 0 || per == 0 {
		return Rate{}, errors.New("nothing would be allowed")
	}
	return Rate{Count: n, Per: per}, nil
}

// valid reports whether r is within the bounds, or no limit.
func (r Rate) valid() bool {
	return r == (Rate{}) || r.Count >= 1 && r.Count <= maxRateCount && r.Per >= minRatePeriod && r.Per <= maxRatePeriod
}
