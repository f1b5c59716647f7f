package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway"
)

type domainRecords struct {
	Name, Status string
	Records      []domainRecord
}

type domainRecord struct {
	Record, Name, Type, Value, Status, Reason string
	Priority                                  int
	Seen                                      []string
}

func (c *client) dnsCommand() *cobra.Command {
	cmd := c.flags(&cobra.Command{Use: "dns", Short: "Show and check the DNS records of a domain"})
	show := &cobra.Command{
		Use: "print DOMAIN", Short: "Print what to publish, as lines of a zone file", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d domainRecords
			if err := c.call(cmd, "GET", "/domains/"+url.PathEscape(args[0]), nil, &d); err != nil {
				return err
			}
			for i := range d.Records {
				if err := c.printf(cmd, "%s\n", d.Records[i].zoneLine()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	check := &cobra.Command{
		Use: "check DOMAIN", Short: "Look the records up now, and settle whether the domain may send", Args: cobra.ExactArgs(1),
		Long: "Look the records up now, and settle whether the domain may send. The exit code is 1 unless all are as they should be.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var d domainRecords
			if err := c.call(cmd, "POST", "/domains/"+url.PathEscape(args[0])+"/verify", nil, &d); err != nil {
				return err
			}
			if !c.asJSON {
				if err := d.table(cmd.OutOrStdout()); err != nil {
					return err
				}
			}
			if slices.ContainsFunc(d.Records, func(r domainRecord) bool { return r.Status != "verified" }) {
				return fmt.Errorf("%s is %s: not all records are there", d.Name, d.Status)
			}
			return nil
		},
	}
	cmd.AddCommand(show, check)
	return cmd
}

// zoneLine is the record as in a zone file.
func (r *domainRecord) zoneLine() string {
	return gateway.ZoneLine(r.Name, r.Type, r.Priority, r.Value)
}

// table shows each record with what is there.
func (d *domainRecords) table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var faults []error
	line := func(cells ...string) {
		_, err := fmt.Fprintln(w, strings.Join(cells, "\t"))
		faults = append(faults, err)
	}
	line("RECORD", "NAME", "EXPECTED", "SEEN", "VERDICT")
	for _, r := range d.Records {
		expected := r.Value
		if r.Type == "MX" {
			expected = fmt.Sprintf("%d %s", r.Priority, r.Value)
		}
		seen := "-"
		if len(r.Seen) > 0 {
			seen = clipped(strings.Join(r.Seen, " | "))
		}
		line(r.Record, r.Name, clipped(expected), seen, strings.TrimSuffix(r.Status+": "+r.Reason, ": "))
	}
	faults = append(faults, w.Flush())
	_, err := fmt.Fprintf(out, "%s is %s\n", d.Name, d.Status)
	return cmp.Or(errors.Join(faults...), err)
}

// cellWidth is what a cell of the table shows of a long value, in characters; print and
// --json have it whole.
const cellWidth = 44

func clipped(s string) string {
	if r := []rune(s); len(r) > cellWidth {
		return string(r[:cellWidth-1]) + "…"
	}
	return s
}
