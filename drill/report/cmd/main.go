// Command report writes the report of a drill: a table, and a page of HTML that
// needs no network.
//
//	go run ./drill/report/cmd -o dist/drill-report dist/drill-results-ns.jsonl…
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/understudy-ha/understudy/drill/report"
)

func main() {
	out := flag.String("o", "dist/drill-report", "`path` of the report without .txt and .html")
	version := flag.String("version", "", "version of the programs that were tried")
	flag.Parse()
	if err := write(os.Stdout, *out, *version, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "report: error:", err)
		os.Exit(1)
	}
}

// write reads the results in files, prints them and writes both forms.
func write(stdout io.Writer, out, version string, files []string) error {
	var results []report.Result
	for _, file := range files {
		more, err := report.Read(file)
		if err != nil {
			return err
		}
		results = append(results, more...)
	}
	if len(results) == 0 {
		return errors.New("no results; run make drill first")
	}
	var text, page bytes.Buffer
	if err := report.Print(&text, results); err != nil {
		return err
	}
	if err := report.WritePage(&page, results, version); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	for ending, data := range map[string][]byte{".txt": text.Bytes(), ".html": page.Bytes()} {
		if err := renameio.WriteFile(out+ending, data, 0o644); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(stdout, "%s\nreport: %s.txt, %s.html\n", text.Bytes(), out, out)
	return err
}
