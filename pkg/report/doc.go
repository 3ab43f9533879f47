// Package report turns results into what people and programs read: aligned
// text, JSON in raw units, and sizes and times in words. It must not know
// whose results they are.
package report
