package script_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// holdPort is a program for the scripts: "hold-port FILE" listens on one port of
// 127.0.0.1 and 127.0.0.2, writes its number into the file, and stays until it
// is killed. Who connects is accepted by the kernel and hears nothing.
func holdPort() {
	if err := holdPortUntilKilled(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "hold-port: %v\n", err)
		os.Exit(1)
	}
}

func holdPortUntilKilled(file string) error {
	for range 20 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		port := strconv.Itoa(first.Addr().(*net.TCPAddr).Port)
		second, err := net.Listen("tcp", "127.0.0.2:"+port)
		if err != nil { // taken there
			first.Close()
			continue
		}
		defer second.Close()
		defer first.Close()
		if err := os.WriteFile(file+".new", []byte(port+"\n"), 0o644); err != nil {
			return err
		}
		if err := os.Rename(file+".new", file); err != nil {
			return err
		}
		select {}
	}
	return fmt.Errorf("no port is free on both addresses")
}
