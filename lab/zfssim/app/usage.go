package app

import ()

// usages returns the usage text of each zfs command, without its leading tab.
func usages() map[string]string {
	receive := "receive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ...\n\t    <filesystem|volume|snapshot>\n" +
		"\treceive [-vMnsFhu] [-o <property>=<value>] ... [-x <property>] ... \n\t    [-d | -e] <filesystem>\n" +
		"\treceive -A <filesystem|volume>"
	snapshot := "snapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ..."
	unmount := "unmount [-fu] <-a | filesystem|mountpoint>"
	return map[string]string{
		"clone": "clone [-p] [-o property=value] ... <snapshot> <filesystem|volume>",
		"create": "create [-Pnpuv] [-o property=value] ... <filesystem>\n" +
			"\tcreate [-Pnpsv] [-b blocksize] [-o property=value] ... -V <size> <volume>",
		"destroy": "destroy [-fnpRrv] <filesystem|volume>\n" +
			"\tdestroy [-dnpRrv] <filesystem|volume>@<snap>[%<snap>][,...]\n" +
			"\tdestroy <filesystem|volume>#<bookmark>",
		"get": "get [-rHp] [-j [--json-int]] [-d max] [-o \"all\" | field[,...]]\n" +
			"\t    [-t type[,...]] [-s source[,...]]\n" +
			"\t    <\"all\" | property[,...]> [filesystem|volume|snapshot|bookmark] ...",
		"inherit": "inherit [-rS] <property> <filesystem|volume|snapshot> ...",
		"list": "list [-Hp] [-j [--json-int]] [-r|-d max] [-o property[,...]] [-s property]...\n" +
			"\t    [-S property]... [-t type[,...]] [filesystem|volume|snapshot] ...",
		"mount":   "mount [-j]\n\tmount [-flvO] [-o opts] <-a|-R filesystem|filesystem>",
		"promote": "promote <clone-filesystem>",
		"receive": receive, "recv": receive,
		"rename": "rename [-f] <filesystem|volume|snapshot> <filesystem|volume|snapshot>\n" +
			"\trename -p [-f] <filesystem|volume> <filesystem|volume>\n" +
			"\trename -u [-f] <filesystem> <filesystem>\n" +
			"\trename -r <snapshot> <snapshot>",
		"rollback": "rollback [-rRf] <snapshot>",
		"send": "send [-DLPbcehnpsVvw] [-i|-I snapshot]\n" +
			"\t     [-R [-X dataset[,dataset]...]]     <snapshot>\n" +
			"\tsend [-DnVvPLecw] [-i snapshot|bookmark] <filesystem|volume|snapshot>\n" +
			"\tsend [-DnPpVvLec] [-i bookmark|snapshot] --redact <bookmark> <snapshot>\n" +
			"\tsend [-nVvPe] -t <receive_resume_token>\n" +
			"\tsend [-PnVv] --saved filesystem",
		"set":      "set [-u] <property=value> ... <filesystem|volume|snapshot> ...",
		"snapshot": snapshot, "snap": snapshot,
		"unmount": unmount, "umount": unmount,
		"hold":       "hold [-r] <tag> <snapshot> ...",
		"holds":      "holds [-rHp] <snapshot> ...",
		"release":    "release [-r] <tag> <snapshot> ...",
		"diff":       "diff [-FHth] <snapshot> [snapshot|filesystem]",
		"bookmark":   "bookmark <snapshot|bookmark> <newbookmark>",
		"load-key":   "load-key [-rn] [-L <keylocation>] <-a | filesystem|volume>",
		"unload-key": "unload-key [-r] <-a | filesystem|volume>",
		"change-key": "change-key [-l] [-o keyformat=<value>]\n" +
			"\t    [-o keylocation=<value>] [-o pbkdf2iters=<value>]\n" +
			"\t    <filesystem|volume>\n" +
			"\tchange-key -i [-l] <filesystem|volume>",
	}
}

// poolUsages returns the usage text of each zpool command.
func poolUsages() map[string]string {
	return map[string]string{
		"create": "create [-fnd] [-o property=value] ... \n\t    [-O file-system-property=value] ... \n" +
			"\t    [-m mountpoint] [-R root] <pool> <vdev> ...",
		"destroy": "destroy [-f] <pool>",
		"list": "list [-gHLpPv] [-o property[,...]] [-j [--json-int, --json-pool-key-guid]] ...\n" +
			"\t    [-T d|u] [pool] [interval [count]]",
		"get": "get [-Hp] [-j [--json-int, --json-pool-key-guid]] ...\n" +
			"\t    [-o \"all\" | field[,...]] <\"all\" | property[,...]> <pool> ...",
		"set":    "set <property=value> <pool>\n\tset <vdev_property=value> <pool> <vdev>",
		"status": "status [-DdegiLPpstvx] [-c script1[,script2,...]] ...",
		"sync":   "sync [pool] ...",
		"export": "export [-af] <pool> ...",
		"import": "import [-d dir] [-D]",
	}
}
