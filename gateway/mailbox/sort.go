package mailbox

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
	"github.com/centerleap/postern/gateway/threading"
)

// SortBy is what messages are sorted by: a sort key of RFC 5256 section 3 or RFC 5957
// section 3, in upper case.
type SortBy string

// SortKey is one criterion of a sort.
type SortKey struct {
	By      SortBy
	Reverse bool
}

// sortValue is what a message has of one criterion: a folded text, or a number.
type sortValue struct {
	text   string
	number int64
}

// sortBys are the criteria there are.
var sortBys = map[SortBy]func(*gateway.Message) sortValue{
	"ARRIVAL":     func(m *gateway.Message) sortValue { return sortValue{number: m.Arrived.Unix()} },
	"CC":          func(m *gateway.Message) sortValue { return localPart(m.Content.Cc) },
	"DATE":        sentDate,
	"DISPLAYFROM": func(m *gateway.Message) sortValue { return displayed(m.Content.From) },
	"DISPLAYTO":   func(m *gateway.Message) sortValue { return displayed(m.Content.To) },
	"FROM":        func(m *gateway.Message) sortValue { return localPart(m.Content.From) },
	"SIZE":        func(m *gateway.Message) sortValue { return sortValue{number: m.Size()} },
	"SUBJECT":     func(m *gateway.Message) sortValue { return sortText(threading.SortSubject(m.Content.Subject)) },
	"TO":          func(m *gateway.Message) sortValue { return localPart(m.Content.To) },
}

// Known reports whether messages can be sorted by it.
func (b SortBy) Known() bool { return sortBys[b] != nil }

// sortBytes is how much of a text counts, in bytes. Ours: nobody tells apart what is the
// same for so long, and that of every message stands in memory.
const sortBytes = 1024

// sortText folds a text for comparison, close to the collation i;unicode-casemap of
// RFC 5051: letters with marks come behind those without.
func sortText(s string) sortValue {
	if len(s) > sortBytes {
		s = strings.ToValidUTF8(s[:sortBytes], "")
	}
	return sortValue{text: norm.NFKD.String(search.Fold(s))}
}

// localPart is that of the first address.
func localPart(list []gateway.Address) sortValue {
	if len(list) == 0 {
		return sortValue{}
	}
	local := list[0].Addr
	if at := strings.LastIndexByte(local, '@'); at >= 0 {
		local = local[:at]
	}
	return sortText(local)
}

// displayed is the name of the first address, or the address of one without.
func displayed(list []gateway.Address) sortValue {
	if len(list) == 0 {
		return sortValue{}
	}
	return sortText(cmp.Or(list[0].Name, list[0].Addr))
}

// sentDate is the Date field; where that can't be read, the arrival counts.
func sentDate(m *gateway.Message) sortValue {
	if m.Content.Date.IsZero() {
		return sortValue{number: m.Arrived.Unix()}
	}
	return sortValue{number: m.Content.Date.Unix()}
}

// distinct leaves out the keys that decide nothing: where one comes again, all is equal by
// it.
func distinct(keys []SortKey) (few []SortKey) {
	for _, k := range keys {
		if !slices.ContainsFunc(few, func(f SortKey) bool { return f.By == k.By }) {
			few = append(few, k)
		}
	}
	return few
}

// recordBatch is how many records are read in one go. Ours.
const recordBatch = 1000

// sortRow is a message that is sorted.
type sortRow struct {
	number int
	values []sortValue
}

// What they take in memory, beside their texts, in bytes.
const (
	sortRowBytes   = 32
	sortValueBytes = 24
)

// Sort puts the messages of some numbers, which are in order, into the order of keys,
// and leaves out those that are gone. All keys are Known. It reads records alone, and
// ends with the error of ctx, with ErrSearchTime, or TooLarge.
func (v *View) Sort(ctx context.Context, numbers []int, keys []SortKey) ([]int, error) {
	give, err := v.mail.sorts.take(ctx, v.at.Domain, v.mail.searchEnd())
	if err != nil {
		return nil, err
	}
	defer give()
	keys = distinct(keys)
	rows, err := v.sortRows(ctx, numbers, keys)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(rows, func(a, b sortRow) int { // what is equal stays by number
		for k := range keys {
			c := cmp.Or(cmp.Compare(a.values[k].number, b.values[k].number), strings.Compare(a.values[k].text, b.values[k].text))
			if keys[k].Reverse {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	sorted := make([]int, len(rows))
	for i := range rows {
		sorted[i] = rows[i].number
	}
	return sorted, nil
}

// sortRows reads what messages are compared by.
func (v *View) sortRows(ctx context.Context, numbers []int, keys []SortKey) ([]sortRow, error) {
	rows, left := make([]sortRow, 0, len(numbers)), v.mail.cfg.Limits.SortBytes
	for batch := range slices.Chunk(numbers, recordBatch) {
		give, err := v.mail.reads.take(ctx, v.at.Domain, v.mail.searchEnd())
		if err != nil {
			return nil, err
		}
		msgs, err := v.Messages(ctx, batch, false)
		give()
		if err != nil {
			return nil, err
		}
		for i, m := range msgs {
			if m == nil {
				continue
			}
			r := sortRow{batch[i], make([]sortValue, len(keys))}
			left -= sortRowBytes
			for k := range keys {
				r.values[k] = sortBys[keys[k].By](m)
				left -= sortValueBytes + int64(len(r.values[k].text))
			}
			if left < 0 {
				return nil, errSortBytes
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

var errSortBytes = gateway.Errorf(gateway.TooLarge, "these messages are too many to be sorted by that; ask for fewer")
