// Package config owns the configuration: its keys, their defaults, where
// their values come from (flag, then environment, then file, then default)
// and every check that needs nothing but the configuration itself. It is the
// only importer of viper.
//
// It is strict, since a mistyped key that is ignored costs data later. An
// unknown key, a key given twice, a duration without a unit or a dataset name
// that ZFS refuses is an error with file and line. All errors are reported at
// once.
//
// It must not know what the values are used for, and it looks at nothing of
// the machine but the configuration file and, to find out which node this is,
// the machine's own addresses.
//
// The struct tags of Config are the schema: yaml is the key, default its
// default, oneof its allowed values, given what it inherits. The page
// docs/config.md is made from them and from the doc comments by
//
//	go test ./pkg/config -run TestPage -update
package config
