// Package monitoring tests what is packaged for Prometheus, Grafana, Nagios and
// mail against the real programs, as Debian has them.
package monitoring
