package hub

import "testing"

func TestRulesSayWhatIsCut(t *testing.T) {
	n := &network{in: map[string]bool{"b": true, "a": true}, out: map[string]bool{"a": true}}
	const want = `table bridge lab
delete table bridge lab
table bridge lab {
chain out { type filter hook prerouting priority 0; iifname { "l-a" } drop; }
chain in { type filter hook postrouting priority 0; oifname { "l-a", "l-b" } drop; }
}
`
	if got := n.rules(); got != want {
		t.Errorf("rules:\n%s\nwant:\n%s", got, want)
	}
}

func TestRulesOfNothingCutAreEmpty(t *testing.T) {
	const want = "table bridge lab\ndelete table bridge lab\ntable bridge lab {\n}\n"
	if got := new(network).rules(); got != want {
		t.Errorf("rules: %q, want %q", got, want)
	}
}

func TestHardwareAddressesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for index := range 3 {
		for eth := range 2 {
			seen[hardwareAddress(NodeSpec{Index: index}, eth)] = true
		}
	}
	if len(seen) != 6 {
		t.Errorf("three nodes have %d addresses, want 6: %v", len(seen), seen)
	}
}
