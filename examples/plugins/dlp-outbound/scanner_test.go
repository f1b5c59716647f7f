package main

import (
	"io"
	"strings"
	"testing"
	"unicode/utf16"
)

// wide is text in UTF-16.
func wide(text string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(text)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func TestScanner(t *testing.T) {
	for _, tt := range []struct{ name, text, found string }{
		{"nothing", "Hello, it is 12:30 on 2026-03-01.", ""},
		{"Visa", "4111111111111111", "1111"},
		{"with blanks", "my card is 4111 1111 1111 1111.", "1111"},
		{"with hyphens", "(4111-1111-1111-1111)", "1111"},
		{"with dots", "4111.1111.1111.1111", "1111"},
		{"with no-break spaces", "4111\u00a01111\u00a01111\u00a01111", "1111"},
		{"with dashes", "4111–1111–1111–1111", "1111"},
		{"in Latin-1", "4111\xa01111\xa01111\xa01111", "1111"},
		{"in UTF-16", wide("Card 4111 1111 1111 1111 here"), "1111"},
		{"in Chinese", "卡号4111111111111111有效", "1111"},
		{"Mastercard", "5555555555554444", "4444"},
		{"Mastercard, new", "2223003122003222", "3222"},
		{"American Express", "3782 822463 10005", "0005"},
		{"Diners Club", "3056 930902 5904", "5904"},
		{"JCB", "3530111333300000", "0000"},
		{"Discover", "6011 1111 1111 1117", "1117"},
		{"UnionPay of 19", "6212345678900000003", "0003"},
		{"in a table", "name,4012888888881881,12/27", "1881"},
		{"in JSON", `{"card":"4012888888881881"}`, "1881"},
		{"with a date", "4111 1111 1111 1111 12/27 123", "1111"},
		{"with more before", "1 x 2 4111 1111 1111 1111", "1111"},
		{"after an assignment", "card=4111111111111111", "1111"},
		{"at the end of a sentence", "4111111111111111. Bye", "1111"},
		{"the second", "4111111111111112 5555555555554444", "4444"},
		{"wrong check digit", "4111111111111112", ""},
		{"no issuer", "9999999999999995", ""},
		{"too long", "41111111111111111111111", ""},
		{"too short", "4111 1111 1116", ""},
		{"odd groups", "41 11 11 11 11 11 11 11", ""},
		{"mixed groups", "4111 1111-1111 1111", ""},
		{"two blanks", "4111  1111  1111  1111", ""},
		{"a number of an invoice", "INV-4111111111111111", ""},
		{"of an order", "order #4111111111111111", ""},
		{"of a telephone", "+4111111111111111", ""},
		{"in an identifier", "x4111111111111111 and 4111111111111111_b and 4111111111111111-ab12", ""},
		{"in a Message-ID", "<4111111111111111@x.example> <a.4111111111111111@x>", ""},
		{"in a URL", "https://x.example/?id=4111111111111111&a=5555555555554444", ""},
		{"after a URL", "https://x.example/ 4111111111111111", "1111"},
		{"figures in columns", strings.Repeat("4111 1111 1111 1111 ", 5), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.text); size += 7 { // however it is cut
				var s scanner
				for rest := tt.text; rest != ""; rest = rest[min(size, len(rest)):] {
					_, _ = io.WriteString(&s, rest[:min(size, len(rest))])
				}
				if s.end(); s.found != tt.found {
					t.Errorf("%q in pieces of %d: found %q, want %q", tt.text, size, s.found, tt.found)
				}
			}
		})
	}
}

// Of HTML, what people see is looked at.
func TestScannerHTML(t *testing.T) {
	for text, want := range map[string]string{
		`<td id="4111111111111111">x</td>`:                      "",
		`<a href="https://x.example/4111111111111111">here</a>`: "",
		`<td>4111111111111111</td>`:                             "1111",
		`<p>a <b>5555 5555</b> b</p><p>5555 5555 5555 4444</p>`: "4444",
	} {
		s := scanner{html: true}
		_, _ = io.WriteString(&s, text)
		if s.end(); s.found != want {
			t.Errorf("%s: found %q, want %q", text, s.found, want)
		}
	}
}

// Wherever a card stands by itself, it is found, and cutting the text changes nothing.
func FuzzScanner(f *testing.F) {
	f.Add("Hello ", "\nbye", 3)
	f.Add("4111 ", " 5", 1)
	f.Fuzz(func(t *testing.T, before, after string, cut int) {
		text := before + "\n\n4012 8888 8888 1881\n\n" + after
		var whole, parts scanner
		_, _ = io.WriteString(&whole, text)
		cut = max(0, min(cut, len(text)))
		_, _ = io.WriteString(&parts, text[:cut])
		_, _ = io.WriteString(&parts, text[cut:])
		whole.end()
		parts.end()
		if whole.found == "" || whole.found != parts.found {
			t.Errorf("%q: found %q whole, %q in parts", text, whole.found, parts.found)
		}
	})
}
