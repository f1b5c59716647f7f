//! Does what the script in its configuration says; conformance_test.go tells what there is.
#[macro_use]
mod postern;
use postern::*;
use std::io::Read;
use std::sync::atomic::{AtomicI32, Ordering};

inbound!(|m| play(Some(m)).expect("a hook that can't fail"));
outbound!(|m| play(Some(m)).expect("a hook that can't fail"));
thread!(|m| play(Some(m)).expect("a hook that can't fail"));
on_event!(|m| play(Some(m)));
on_tick!(|| play(None).map(|_| ()));

static CALLS: AtomicI32 = AtomicI32::new(0);

fn play(m: Option<&Message>) -> Result<Verdict, Failure> {
    let mut g = Guest { v: Verdict::default(), letter: None };
    for line in config("script").lines() {
        let words: Vec<String> = line.split('\t').map(|w| w.strip_prefix('$').map_or(w.into(), config)).collect();
        let a: Vec<&str> = words.iter().map(String::as_str).collect();
        if !(g.write(&a) || g.decide(&a) || remember(&a) || m.map_or(false, |m| look(m, &a))) {
            others(&a)?;
        }
    }
    Ok(g.v)
}

fn say(text: impl AsRef<str>) { log::info(text.as_ref()) }
fn number(text: &str) -> i64 { text.parse().expect("a number") }
fn outcome(r: Result<(), Errno>) { say(r.map_or_else(|e| e.to_string(), |()| "ok".into())) }
fn person(a: &Address) -> String { format!("{} <{}>", a.name, a.addr) }
fn people(list: &[Address]) -> String { list.iter().map(person).collect::<Vec<_>>().join(", ") }
/// FNV-1a, as hash/fnv has it.
fn hash<'a>(h: u32, b: impl Iterator<Item = &'a u8>) -> u32 { b.fold(h, |h, &c| (h ^ c as u32).wrapping_mul(16777619)) }
fn sum(b: &[u8]) -> String { format!("{} {}", b.len(), hash(2166136261, b.iter())) }
fn each(j: &Json, list: &str, member: &str) -> Vec<String> {
    (0..).map_while(|i| j.get(&format!("{}.{}{}", list, i, member))).collect()
}

struct Guest { v: Verdict, letter: Option<Mail> }

impl Guest {
    fn decide(&mut self, a: &[&str]) -> bool {
        let v = std::mem::take(&mut self.v);
        self.v = match a[0] {
            "accept" => accept(),
            "reject" => reject(number(a[1]) as u16, a[2]),
            "tempfail" => tempfail(a[1]),
            "quarantine" => quarantine(a[1]),
            "discard" => discard(),
            "allow" => allow(),
            "deny" => deny(a[1]),
            "hold" => hold(a[1]),
            "hold_until" => hold_until(a[1], number(a[2])),
            "join" => join(a[1]),
            "new_thread" => new_thread(),
            "merge" => merge(a[1], &a[2..]),
            "split" => split(&a[1..]),
            "folder" => v.folder(a[1]),
            "label" => v.label(a[1]),
            "unlabel" => v.unlabel(a[1]),
            "flag" => v.flag(a[1]),
            "redirect" => v.redirect(a[1]),
            "keep" => v.keep(),
            "add_header" => v.add_header(a[1], a[2]),
            "set_header" => v.set_header(a[1], a[2]),
            "delete_header" => v.delete_header(a[1]),
            "set_subject" => v.subject(a[1]),
            "body" => v.body(a[1], a[2]),
            "tag" => v.tag(a[1], a[2]),
            "remove" => v.remove(a[1]),
            "reply" => v.reply(text(a[1])),
            "reply_html" => v.reply(html(a[1]).text(a[2]).subject(a[3]).from(a[4])),
            "score" => v.score(a[1].parse().expect("a score")),
            "reason" => v.reason(a[1]),
            "reason_kv" => v.reason(&String::from_utf8_lossy(&kv::get(a[1]).unwrap_or_default())),
            "final" => v.final_(),
            _ => { self.v = v; return false }
        };
        true
    }

    fn write(&mut self, a: &[&str]) -> bool {
        let l = match self.letter.take() {
            Some(l) => l,
            None if a[0] == "mail" => { self.letter = Some(mail(a[1])); return true }
            None => return false,
        };
        self.letter = Some(match a[0] {
            "from" => l.from(a[1]),
            "to" => l.to(a[1]),
            "cc" => l.cc(a[1]),
            "bcc" => l.bcc(a[1]),
            "reply_to" => l.reply_to(a[1]),
            "subject" => l.subject(a[1]),
            "text" => l.text(a[1]),
            "html" => l.html(a[1]),
            "header" => l.header(a[1], a[2]),
            "tag" => l.tag(a[1], a[2]),
            "in_reply_to" => l.in_reply_to(a[1]),
            "reference" => l.reference(a[1]),
            _ => { outcome(send(l)); return true }
        });
        true
    }
}

fn remember(a: &[&str]) -> bool {
    match a[0] {
        "kv_get" => say(kv::get(a[1]).map_or("nothing".into(), |v| String::from_utf8_lossy(&v).into_owned())),
        "kv_sum" => say(sum(&kv::get(a[1]).unwrap_or_default())),
        "kv_put" => outcome(kv::put(a[1], a[2], number(a[3]))),
        "kv_fill" => outcome(kv::put(a[1], &(0..number(a[2])).map(|i| i as u8).collect::<Vec<u8>>(), 0)),
        "kv_delete" => outcome(kv::delete(a[1])),
        "kv_incr" => say(kv::incr(a[1], number(a[2]), number(a[3])).map_or_else(|e| e.to_string(), |n| n.to_string())),
        "kv_list" => say(kv::list(a[1]).map_or_else(|e| e.to_string(), |keys| keys.join(","))),
        _ => return false,
    }
    true
}

fn look(m: &Message, a: &[&str]) -> bool {
    match a[0] {
        "subject" => say(m.subject()),
        "subject_contains" => say(m.subject_contains(&a[1..]).to_string()),
        "header" => say(m.header(a[1])),
        "header_at" => say(m.header_at(a[1], number(a[2]) as i32)),
        "header_count" => say(m.header_count(a[1]).to_string()),
        "has_header" => say(m.has_header(a[1]).to_string()),
        "from" => say(person(&m.from())),
        "to" => say(people(&m.to())),
        "cc" => say(people(&m.cc())),
        "recipients" => say(m.recipients().join(", ")),
        "auth" => {
            let r = m.auth();
            say(format!("{} {} {} {} {}", r.spf, r.dkim, r.dmarc, r.from_aligned, r.disposition));
        }
        "reply_ok" => say(m.reply_ok().to_string()),
        "dry_run" => say(m.dry_run().to_string()),
        "text" => say(m.text(number(a[1]) as usize)),
        "reply_to" => say(m.reply_to().iter().map(|a| a.addr.clone()).collect::<Vec<_>>().join(", ")),
        "references" => say(m.references().join(", ")),
        "in_reply_to" => say(m.in_reply_to()),
        "size" => say(m.size().to_string()),
        "id" => say(m.id()),
        "domain" => say(m.domain()),
        "message_id" => say(m.message_id()),
        "mailbox" => say(m.mailbox()),
        "thread_id" => say(m.thread_id()),
        "new_thread_id" => say(m.new_thread_id()),
        "via" => say(m.via()),
        "in_folder" => say(m.folder()),
        "labels" => say(m.labels().join(", ")),
        "flags" => say(m.flags().join(", ")),
        "score_so_far" => say(m.score().to_string()),
        "type" => say(m.kind()),
        "event_id" => say(m.event_id()),
        "attempt" => say(m.attempt().to_string()),
        "detail" => say(m.detail()),
        "event" => match m.event() {
            Ok(e) => say(format!("{}|{}|{}|{}", e.string("subject"), each(&e, "headers", ".1").join(","), e.string("text"), each(&e, "parts", ".type").join(","))),
            Err(e) => say(e.to_string()),
        },
        "conversation" => match m.thread() {
            Ok(c) => say(format!("{}|{}|{}|{}", c.string("thread_id"), c.string("subject"), c.string("count"), each(&c, "messages", ".text").join(","))),
            Err(e) => say(e.to_string()),
        },
        "part" => part(m, number(a[1]) as i32, number(a[2]) as usize, number(a[3]) as usize),
        _ => return false,
    }
    true
}

/// Reads a part with so much room, and hashes each so-manieth byte of what there was room for.
fn part(m: &Message, i: i32, room: usize, step: usize) {
    let (mut from, mut buf, mut n, mut h) = (m.part(i), vec![0; room], 0, 2166136261u32);
    loop {
        match from.read(&mut buf) {
            Ok(0) => return say(format!("{} {}", n, h)),
            Ok(got) => { n += got; h = hash(h, buf[..got].iter().step_by(step)) }
            Err(e) => return say(e.to_string()),
        }
    }
}

fn others(a: &[&str]) -> Result<(), Failure> {
    match a[0] {
        "log" => match a[1] {
            "debug" => log::debug(a[2]),
            "warn" => log::warn(a[2]),
            "error" => log::error(a[2]),
            _ => log::info(a[2]),
        },
        "config" => say(config(a[1])),
        "secret" => say(secret(a[1])),
        "now" => say(now().to_string()),
        "http" => match http::request(a[1], a[2]).header(a[3], a[4]).body(a[5]).fetch() {
            Ok(r) => say(format!("{}|{}|{}", r.status, r.header("x-answer"), String::from_utf8_lossy(&r.body()?))),
            Err(e) => say(e.to_string()),
        },
        "http_get" => say(http::get(a[1]).map_or_else(|e| e.to_string(), |r| r.string(a[2]))),
        "post_json" => say(http::post_json(a[1], a[2], a[3]).map_or_else(|e| e.to_string(), |r| r.string(a[4]))),
        "alloc" => {
            let items: Vec<String> = (0..number(a[1])).map(|i| format!("item-{}", i)).collect();
            say(items.iter().map(String::len).sum::<usize>().to_string());
        }
        "scheduled" => say(scheduled()),
        "previous" => say(previous()),
        "calls" => say((CALLS.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
        "panic" => panic!("{}", a[1]),
        "fail" => return Err(a[1].into()),
        _ => panic!("there is no word {}", a[0]),
    }
    Ok(())
}
