package main

import "slices"

// least and longest are how many digits the number of a card has: ISO/IEC 7812-1.
const least, longest = 13, 19

// groupings are how cards print their numbers, and people write them down.
var groupings = [][]int{{4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}, {4, 4, 4, 4, 3}, {4, 4, 4, 1}, {4, 4, 5}}

// grouped reports whether groups of digits have the sizes that those of a card have.
func grouped(sizes []int) bool {
	return len(sizes) == 1 || slices.ContainsFunc(groupings, func(g []int) bool { return slices.Equal(g, sizes) })
}

// issuers are the numbers that cards begin with, and how long those are: ISO/IEC 7812, and
// what the networks publish.
var issuers = []struct{ from, to, digits, least, most int }{
	{4, 4, 1, 13, 13},       // Visa, the old ones
	{4, 4, 1, 16, 16},       // Visa
	{4, 4, 1, 19, 19},       // Visa, the long ones
	{51, 55, 2, 16, 16},     // Mastercard
	{2221, 2720, 4, 16, 16}, // Mastercard
	{34, 34, 2, 15, 15},     // American Express
	{37, 37, 2, 15, 15},     // American Express
	{300, 305, 3, 14, 14},   // Diners Club
	{36, 36, 2, 14, 14},     // Diners Club
	{38, 39, 2, 14, 14},     // Diners Club
	{3528, 3589, 4, 16, 16}, // JCB
	{6011, 6011, 4, 16, 16}, // Discover
	{644, 659, 3, 16, 16},   // Discover
	{62, 62, 2, 16, 19},     // UnionPay
	{6759, 6763, 4, 16, 19}, // Maestro
}

// card reports whether digits are the number of a card.
func card(number []byte) bool {
	if len(number) < least || len(number) > longest {
		return false
	}
	return luhn(number) && slices.ContainsFunc(issuers, func(i struct{ from, to, digits, least, most int }) bool {
		begins := 0
		for _, d := range number[:i.digits] {
			begins = begins*10 + int(d-'0')
		}
		return begins >= i.from && begins <= i.to && len(number) >= i.least && len(number) <= i.most
	})
}

// luhn reports whether the check digit is right: ISO/IEC 7812-1, annex B.
func luhn(number []byte) bool {
	sum := 0
	for i, d := range number {
		n := int(d - '0')
		if (len(number)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}
