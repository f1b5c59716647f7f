// Command postern is the gateway and the tool to run it: one binary.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
