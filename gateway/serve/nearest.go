package serve

// nearest names the setting that was perhaps meant.
func nearest(name string) string {
	best, least := "", len(name)+maxName
	for _, s := range table {
		if d := distance(name, s.name); d < least {
			best, least = s.name, d
		}
	}
	return best
}

// maxName bounds what is compared of a name; settings are shorter by far.
const maxName = 100

// distance is Levenshtein's: how many letters to add, drop or change.
func distance(a, b string) int {
	a = a[:min(len(a), maxName)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = min(last, row[j], row[j+1]) + 1
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
