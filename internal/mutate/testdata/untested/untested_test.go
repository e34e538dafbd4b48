package untested

import "testing"

func TestGood(t *testing.T) {
	if !Check("x") {
		t.Error("refused")
	}
}
