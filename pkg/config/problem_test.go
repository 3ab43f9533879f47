package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
)

// Each case is a file and all that is wrong with it, in order; "FILE" stands
// for its path.
func TestProblems(t *testing.T) {
	const node = "nodes: [{name: a, address: 10.0.0.1}]\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", node + "replicaton: {}\n",
			[]string{`FILE:2:1: replicaton: unknown key; did you mean "replication"?`}},
		{"unknown key below", node + "ssh:\n  identityfile: /x\n  zzz: 1\n", []string{
			`FILE:3:3: ssh.identityfile: unknown key; did you mean "identity_file"?`,
			`FILE:4:3: ssh.zzz: unknown key; here belong user, identity_file, known_hosts_file, port, connect_timeout, options, remote_command`}},
		{"key of another place", node + "bandwidth: 20MiB\nlag: {verify_commits: true}\n", []string{
			`FILE:2:1: bandwidth: unknown key; there is "replication.bandwidth"`,
			`FILE:3:7: lag.verify_commits: unknown key; there is "images.verify_commits"`}},
		{"another style", node + "ssh: {identityFile: /x, connect-timeout: 5s}\n", []string{
			`FILE:2:7: ssh.identityFile: unknown key; did you mean "identity_file"?`,
			`FILE:2:25: ssh.connect-timeout: unknown key; did you mean "connect_timeout"?`}},
		{"unknown key in a list", node + "replication:\n  datasets:\n    - nane: tank\n", []string{
			`FILE:4:7: replication.datasets[0].nane: unknown key; did you mean "name"?`,
			`FILE:4:7: replication.datasets[0].name: is missing`}},
		{"key twice", node + "ssh: {port: 22}\nssh: {port: 23}\n",
			[]string{`FILE:3:1: ssh: given twice; first on line 2`}},
		{"key twice below", node + "ssh:\n  port: 22\n  user: x\n  port: 23\n",
			[]string{`FILE:5:3: ssh.port: given twice; first on line 3`}},
		{"bare duration", node + "ssh: {connect_timeout: 30}\n",
			[]string{`FILE:2:24: ssh.connect_timeout: "30" has no unit; write 30s, 30m or 30h`}},
		{"bad duration", node + "lag: {warning: soon}\n",
			[]string{`FILE:2:16: lag.warning: "soon" is not a duration such as 30s, 5m, 1h30m or 2d`}},
		{"zero deadline", node + "replication: {timeouts: {zfs: 0s}}\n",
			[]string{`FILE:2:31: replication.timeouts.zfs: must be longer than 0`}},
		{"bare size", node + "replication: {bandwidth: 20}\n",
			[]string{`FILE:2:26: replication.bandwidth: "20" has no unit; write 20MiB, or 20B for bytes`}},
		{"bad number", node + "ssh: {port: many}\n",
			[]string{`FILE:2:13: ssh.port: "many" is not a whole number`}},
		{"negative number", node + "replication: {parallel: -1}\n",
			[]string{`FILE:2:25: replication.parallel: -1 is negative`}},
		{"yes is no boolean", node + "replication: {require_role: yes}\n",
			[]string{`FILE:2:29: replication.require_role: "yes" is neither true nor false`}},
		{"none of the values", node + "replication: {snapshot: allways}\n",
			[]string{`FILE:2:25: replication.snapshot: "allways" is not one of changed, always, never; did you mean "always"?`}},
		{"no value", node + "replication:\n  prefix:\n",
			[]string{`FILE:3:10: replication.prefix: has no value; give it one or remove the key`}},
		{"mapping for a list", node + "replication:\n  datasets: {tank: {}}\n",
			[]string{`FILE:3:13: replication.datasets: want a list, each element after a dash, have a mapping`}},
		{"text for a list", node + "replication: {pre_snapshot: {command: sync}}\n",
			[]string{`FILE:2:39: replication.pre_snapshot.command: want a list, such as [one, two], have "sync"`}},
		{"list for a text", node + "interface: [eth0]\n",
			[]string{`FILE:2:12: interface: want a single value (text), have a list`}},
		{"text for a mapping", node + "ssh: root\n",
			[]string{`FILE:2:6: ssh: want a mapping of keys, have "root"`}},
		{"alias", "nodes: &n [{name: a, address: 10.0.0.1}]\nreplication: {datasets: *n}\n",
			[]string{`FILE:2:25: replication.datasets: aliases are not supported; write the value out`}},
		{"no YAML", node + "ssh: {port: 22\n",
			[]string{`FILE:2: not valid YAML: did not find expected ',' or '}'`}},
		{"a tab", node + "ssh:\n\tport: 22\n",
			[]string{`FILE:3: not valid YAML: found character that cannot start any token`}},
		{"no YAML on the first line", "nodes: [\n",
			[]string{`FILE:2: not valid YAML: did not find expected node content`}},
		{"two documents", node + "---\nssh: {}\n",
			[]string{`FILE:2:1: a second document begins here; the config is one document`}},
		{"empty", "", []string{`FILE: nodes: no node is given; list each server as {name: …, address: …}`}},

		{"node names", "nodes:\n- {name: a, address: h1}\n- {name: a, address: h2}\n- {name: 'a b', address: h3}\n- {address: h4}\n", []string{
			`FILE:3:10: nodes[1].name: "a" is nodes[0] already; each node has its own name`,
			`FILE:4:10: nodes[2].name: "a b" is not a node name: letters, digits, '.', '_' and '-'`,
			`FILE:5:3: nodes[3].name: is missing`}},
		{"node addresses", "nodes:\n- {name: a, address: 10.0.0.1}\n- {name: b, address: 10.0.0.1}\n- {name: c, address: 10.0.0.256}\n- {name: d, address: -oProxyCommand=x}\n- {name: e}\n", []string{
			`FILE:3:22: nodes[1].address: 10.0.0.1 is that of nodes[0] already`,
			`FILE:4:22: nodes[2].address: "10.0.0.256" is neither an IP address nor a host name`,
			`FILE:5:22: nodes[3].address: "-oProxyCommand=x" is neither an IP address nor a host name`,
			`FILE:6:3: nodes[4].address: is missing; give the node's own IP address or host name`}},
		{"virtual IP as a node's", "nodes:\n- {name: a, address: 10.0.0.9}\nvirtual_ip: 10.0.0.9/24\n",
			[]string{`FILE:2:22: nodes[0].address: 10.0.0.9 is virtual_ip, which moves between the nodes; give the node's own address`}},
		{"priorities", "nodes:\n- {name: a, address: h1, priority: 90}\n- {name: b, address: h2, priority: 90}\n- {name: c, address: h3, priority: 255}\n", []string{
			`FILE:3:36: nodes[1].priority: 90 is that of nodes[0] already; equal priorities make a race of an election`,
			`FILE:4:36: nodes[2].priority: 255 is not between 1 and 254`}},
		{"only local nodes", "nodes:\n- {name: a, local: true}\n",
			[]string{`FILE:1:1: nodes: all nodes are local; one must be this machine itself, with its address`}},
		{"unknown own node", node + "node: b\n",
			[]string{`FILE:2:7: node: "b" is none of the nodes; did you mean "a"?`}},
		{"families of addresses", "nodes:\n- {name: a, address: \"fd00::1\"}\n- {name: b, address: 10.0.0.2}\nvirtual_ip: 10.0.0.9/24\n",
			[]string{`FILE:2:22: nodes[0].address: fd00::1 and virtual_ip 10.0.0.9 are of different families (IPv4, IPv6), which keepalived refuses with unicast; give the node an address of the same family, or set keepalived.unicast to false`}},
		{"virtual IP", node + "virtual_ip: 10.0.0.100\n",
			[]string{`FILE:2:13: virtual_ip: "10.0.0.100" is not an address with a prefix length such as 192.168.1.100/24`}},
		{"relative path", node + "state_dir: state\n",
			[]string{`FILE:2:12: state_dir: "state" is not an absolute path`}},
		{"ssh", node + "ssh:\n  user: -l\n  port: 70000\n  options: [-oX=y]\n  connect_timeout: 10ms\n", []string{
			`FILE:3:9: ssh.user: "-l" is not a user name`,
			`FILE:4:9: ssh.port: 70000 is not between 1 and 65535`,
			`FILE:5:13: ssh.options[0]: "-oX=y" is not an option such as Ciphers=aes128-gcm@openssh.com`,
			`FILE:6:20: ssh.connect_timeout: 10ms is shorter than ssh can measure; give at least 1s`}},
		{"thresholds", node + "lag: {warning: 2h}\n",
			[]string{`FILE:2:16: lag.warning: 2h is longer than lag.critical, 1h`}},

		{"etcd", node + "witness:\n  etcd:\n    endpoints: ['10.0.0.5:2379', 'http://10.0.0.5:2379']\n    margin: 3s\n    ttl: 6s\n    cert_file: /x\n    user: u\n    prefix: x\n", []string{
			`FILE:3:3: witness.etcd.key_file: cert_file and key_file are given together or not at all`,
			`FILE:3:3: witness.etcd.password_file: user and password_file are given together or not at all`,
			`FILE:4:17: witness.etcd.endpoints[0]: "10.0.0.5:2379" is not a URL such as https://10.0.0.5:2379`,
			`FILE:4:34: witness.etcd.endpoints[1]: http://10.0.0.5:2379 is not encrypted, although certificates are given; write https`,
			`FILE:5:13: witness.etcd.margin: 3s is too short: containers get at least 1s of services.stop_timeout, and killing and the datasets need 4s; give 5s or more`,
			`FILE:6:10: witness.etcd.ttl: 6s leaves no time for two attempts to renew before the margin of 3s begins; give 8s or more`,
			`FILE:9:13: witness.etcd.prefix: "x" is not a path such as /understudy/home/`}},
		{"nothing kept", node + "replication:\n  keep: {last: 0}\n", []string{
			`FILE:3:16: replication.keep.last: must be at least 1: the newest snapshot is what the next run starts from`}},
		{"prefix", node + "replication: {prefix: 'a@b'}\n",
			[]string{`FILE:2:23: replication.prefix: "a@b" is not the start of a snapshot name: letters, digits, '_', '.', ':' and '-'`}},
		{"relative hook", node + "replication: {pre_snapshot: {command: [./x]}}\n",
			[]string{`FILE:2:30: replication.pre_snapshot.command: "./x" is neither an absolute path nor the name of a program`}},
		{"dataset names", node + "replication:\n  datasets:\n  - name: tank/\n  - name: /tank\n  - name: tank@snap\n  - name: mirror1/a\n  - name: 1tank\n  - name: tank/a%b\n  - name: tank/ü\n  - name: tank/../x\n  - name: " + strings.Repeat("t", 256) + "\n", []string{
			`FILE:4:11: replication.datasets[0].name: "tank/" is not a dataset name: a '/' stands at an end or beside another`,
			`FILE:5:11: replication.datasets[1].name: "/tank" is not a dataset name: a '/' stands at an end or beside another`,
			`FILE:6:11: replication.datasets[2].name: "tank@snap" is not a dataset name: it names a snapshot or bookmark`,
			`FILE:7:11: replication.datasets[3].name: "mirror1/a" is not a dataset name: a pool can't be called "mirror1"`,
			`FILE:8:11: replication.datasets[4].name: "1tank" is not a dataset name: the pool's name must begin with a letter`,
			`FILE:9:11: replication.datasets[5].name: "tank/a%b" is not a dataset name: '%' is not allowed in it`,
			`FILE:10:11: replication.datasets[6].name: "tank/ü" is not a dataset name: 'ü' is not allowed in it`,
			`FILE:11:11: replication.datasets[7].name: "tank/../x" is not a dataset name: a part of it is ..`,
			`FILE:12:11: replication.datasets[8].name: "` + strings.Repeat("t", 256) + `" is not a dataset name: it is longer than 255 bytes`}},
		{"excludes", node + "replication:\n  datasets:\n  - {name: tank, exclude: [tankard/a, tank]}\n  - {name: pool, recursive: false, exclude: [pool/a]}\n", []string{
			`FILE:4:28: replication.datasets[0].exclude[0]: "tankard/a" is not below tank`,
			`FILE:4:39: replication.datasets[0].exclude[1]: "tank" is not below tank`,
			`FILE:5:46: replication.datasets[1].exclude[0]: "pool/a" is not taken anyway, since recursive is false`}},
		{"dataset twice", node + "replication:\n  datasets:\n  - {name: tank/a}\n  - {name: tank/a}\n",
			[]string{`FILE:5:12: replication.datasets[1].name: "tank/a" is replication.datasets[0] already`}},
		{"dataset within another", node + "replication:\n  datasets:\n  - {name: tank}\n  - {name: tank/a}\n",
			[]string{`FILE:5:12: replication.datasets[1].name: "tank/a" is part of replication.datasets[0] (tank) already; exclude it there or remove it here`}},
		{"dataset around another", node + "replication:\n  datasets:\n  - {name: tank/a}\n  - {name: tank}\n",
			[]string{`FILE:5:12: replication.datasets[1].name: "tank" has replication.datasets[0] (tank/a) in it already; exclude that here or remove it there`}},
		{"targets within another", node + "replication:\n  datasets:\n  - {name: tank, target: backup}\n  - {name: pool, target: backup/x}\n",
			[]string{`FILE:5:26: replication.datasets[1].target: "backup/x" and the target of replication.datasets[0], "backup", are the same dataset or one within the other`}},
		{"local without target", "nodes:\n- {name: a, address: 10.0.0.1}\n- {name: b, local: true}\nreplication:\n  datasets:\n  - {name: tank}\n  - {name: pool, target: pool/copy}\n  - {name: disk/x, target: disk}\n", []string{
			`FILE:6:5: replication.datasets[0].target: is missing: node b is local, so "tank" needs another name there`,
			`FILE:7:26: replication.datasets[1].target: "pool/copy" overlaps with pool, which is read on the same machine (node b is local)`,
			`FILE:8:28: replication.datasets[2].target: "disk" overlaps with disk/x, which is read on the same machine (node b is local)`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, c.text)
			_, err := config.Load(config.LoadOptions{File: file})
			fault, ok := errors.AsType[*config.ConfigError](err)
			if !ok {
				t.Fatalf("error %v is no ConfigError", err)
			}
			var got []string
			for _, p := range fault.Problems {
				got = append(got, strings.ReplaceAll(p.String(), file, "FILE"))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(c.want, "\n"); g != w {
				t.Errorf("have\n%s\nwant\n%s", g, w)
			}
			if fault.ExitCode() != 78 || fault.Hint() == "" {
				t.Errorf("exit code %d, hint %q", fault.ExitCode(), fault.Hint())
			}
			for _, line := range got {
				if !strings.Contains(strings.ReplaceAll(err.Error(), file, "FILE"), line) {
					t.Errorf("the message lacks %q:\n%v", line, err)
				}
			}
		})
	}
}

// These look like mistakes of the kinds above and are none.
func TestNoProblems(t *testing.T) {
	for _, text := range []string{
		"nodes: [{name: a, address: 'fe80::1%eth0'}]\n",
		"nodes: [{name: a, address: Server-1.example.com.}]\n",
		small + "replication: {datasets: [{name: tank, exclude: [tank/a]}, {name: tank/a, target: other/a}]}\n",
		small + "replication: {datasets: [{name: tank, recursive: false}, {name: tank/a}]}\n",
		small + "replication: {datasets: [{name: tank}, {name: tankard}]}\n",
		small + "replication: {datasets: [{name: logs/a b:c_d-e.f}]}\n",
		"nodes: [{name: a, address: 10.0.0.1}, {name: b, local: true}]\nreplication: {datasets: [{name: tank, exclude: [tank/copies], target: tank/copies}]}\n",
		small + "services:\nprobe: {}\nreplication: {datasets: , bandwidth: 0}\n",
	} {
		if _, err := config.Load(config.LoadOptions{File: write(t, text)}); err != nil {
			t.Errorf("%s%v", text, err)
		}
	}
}

func TestProblemsOutsideOfTheFile(t *testing.T) {
	_, err := config.Load(config.LoadOptions{File: write(t, small), Env: env(map[string]string{
		"UNDERSTUDY_SSH_PORT":                 "0",
		"UNDERSTUDY_REPLICATION_PARALLEL":     "four",
		"UNDERSTUDY_REPLICATION_DATASETS":     "tank",
		"UNDERSTUDY_REPLICATION_KEEP_LAST":    "0",
		"UNDERSTUDY_REPLICATION_REQUIRE_ROLE": "",
	})})
	fault, ok := errors.AsType[*config.ConfigError](err)
	if !ok {
		t.Fatalf("error %v is no ConfigError", err)
	}
	for _, want := range []string{
		"environment variable UNDERSTUDY_SSH_PORT: ssh.port: 0 is not between 1 and 65535",
		`environment variable UNDERSTUDY_REPLICATION_PARALLEL: replication.parallel: "four" is not a whole number`,
		"environment variable UNDERSTUDY_REPLICATION_DATASETS: replication.datasets: is a list, which only the file can give; unset the variable",
		"environment variable UNDERSTUDY_REPLICATION_KEEP_LAST: replication.keep.last: must be at least 1",
	} {
		if !strings.Contains(fault.Error(), want) {
			t.Errorf("%q is missing in %v", want, fault)
		}
	}
}
