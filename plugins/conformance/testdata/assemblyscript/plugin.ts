// Does what the script in its configuration says; conformance_test.go tells what there is.
import {
  Address, Json, KV, HTTP, Log, Mail, Message, Obj, Request, Response, Verdict,
  accept, allow, config, deny, discard, errorText, hold, holdUntil, html, inbound, join, merge, newThread, now, onEvent, onTick, outbound,
  previous, quarantine, reject, scheduled, secret, send, split, tempfail, text, thread,
} from "./postern";
export { postern_init } from "./postern";

export function postern_inbound(): i32 { return inbound((m) => play(m)!); }
export function postern_outbound(): i32 { return outbound((m) => play(m)!); }
export function postern_thread(): i32 { return thread((m) => play(m)!); }
export function postern_event(): i32 { return onEvent((m) => play(m)); }
export function postern_tick(): i32 { return onTick(() => play(new Message()) !== null); }

let calls = 0;
let failed = false;
let v = new Verdict();
let letter: Mail | null = null;

function play(m: Message): Verdict | null {
  const lines = config("script").split("\n");
  for (let i = 0; i < lines.length && !failed; i++) {
    if (lines[i] == "") continue;
    const a = lines[i].split("\t");
    for (let j = 0; j < a.length; j++) {
      if (a[j].startsWith("$")) a[j] = config(a[j].substring(1));
    }
    if (!write(a) && !decide(a) && !remember(a) && !look(m, a)) others(a);
  }
  return failed ? null : v;
}

function say(s: string): void { Log.info(s); }
function outcome(r: i32): void { say(r < 0 ? errorText(r) : "ok"); }
function person(a: Address): string { return a.name + " <" + a.addr + ">"; }
function people(list: Address[]): string { return list.map<string>((a) => person(a)).join(", "); }
/** FNV-1a, as hash/fnv has it. */
function hash(h: u32, b: Uint8Array, n: i32, step: i32): u32 {
  for (let i = 0; i < n; i += step) h = (h ^ b[i]) * 16777619;
  return h;
}
function each(j: Json, list: string, member: string): string {
  const all: string[] = [];
  for (let i = 0; ; i++) {
    const s = j.get(list + "." + i.toString() + member);
    if (s === null) break;
    all.push(s);
  }
  return all.join(",");
}

function decide(a: string[]): bool {
  const w = a[0];
  if (w == "accept") v = accept();
  else if (w == "reject") v = reject(I32.parseInt(a[1]), a[2]);
  else if (w == "tempfail") v = tempfail(a[1]);
  else if (w == "quarantine") v = quarantine(a[1]);
  else if (w == "discard") v = discard();
  else if (w == "allow") v = allow();
  else if (w == "deny") v = deny(a[1]);
  else if (w == "hold") v = hold(a[1]);
  else if (w == "hold_until") v = holdUntil(a[1], I64.parseInt(a[2]));
  else if (w == "join") v = join(a[1]);
  else if (w == "new_thread") v = newThread();
  else if (w == "merge") v = merge(a[1], a.slice(2));
  else if (w == "split") v = split(a.slice(1));
  else if (w == "folder") v.folder(a[1]);
  else if (w == "label") v.label(a[1]);
  else if (w == "unlabel") v.unlabel(a[1]);
  else if (w == "flag") v.flag(a[1]);
  else if (w == "redirect") v.redirect(a[1]);
  else if (w == "keep") v.keep();
  else if (w == "add_header") v.addHeader(a[1], a[2]);
  else if (w == "set_header") v.setHeader(a[1], a[2]);
  else if (w == "delete_header") v.deleteHeader(a[1]);
  else if (w == "set_subject") v.subject(a[1]);
  else if (w == "body") v.body(a[1], a[2]);
  else if (w == "tag") v.tag(a[1], a[2]);
  else if (w == "remove") v.remove(a[1]);
  else if (w == "reply") v.reply(text(a[1]));
  else if (w == "reply_html") v.reply(html(a[1]).text(a[2]).subject(a[3]).from(a[4]));
  else if (w == "score") v.score(parseFloat(a[1]));
  else if (w == "reason") v.reason(a[1]);
  else if (w == "reason_kv") v.reason(KV.get(a[1])!);
  else if (w == "final") v.final();
  else return false;
  return true;
}

function write(a: string[]): bool {
  const w = a[0];
  if (w == "mail") {
    letter = new Mail(a[1]);
    return true;
  }
  const l = letter;
  if (l === null) return false;
  if (w == "from") l.from(a[1]);
  else if (w == "to") l.to(a[1]);
  else if (w == "cc") l.cc(a[1]);
  else if (w == "bcc") l.bcc(a[1]);
  else if (w == "reply_to") l.replyTo(a[1]);
  else if (w == "subject") l.subject(a[1]);
  else if (w == "text") l.text(a[1]);
  else if (w == "html") l.html(a[1]);
  else if (w == "header") l.header(a[1], a[2]);
  else if (w == "tag") l.tag(a[1], a[2]);
  else if (w == "in_reply_to") l.inReplyTo(a[1]);
  else if (w == "reference") l.reference(a[1]);
  else {
    outcome(send(l));
    letter = null;
  }
  return true;
}

function remember(a: string[]): bool {
  const w = a[0];
  if (w == "kv_get") {
    const value = KV.get(a[1]);
    say(value === null ? "nothing" : value);
  } else if (w == "kv_sum") {
    const value = KV.getBytes(a[1]);
    const b = value === null ? new Uint8Array(0) : value;
    say(b.length.toString() + " " + hash(2166136261, b, b.length, 1).toString());
  } else if (w == "kv_put") {
    outcome(KV.put(a[1], a[2], I64.parseInt(a[3])));
  } else if (w == "kv_fill") {
    const b = new Uint8Array(I32.parseInt(a[2]));
    for (let i = 0; i < b.length; i++) b[i] = <u8>i;
    outcome(KV.putBytes(a[1], b, 0));
  } else if (w == "kv_delete") {
    outcome(KV.remove(a[1]));
  } else if (w == "kv_incr") {
    const n = KV.incr(a[1], I64.parseInt(a[2]), I64.parseInt(a[3]));
    say(n < 0 ? errorText(<i32>n) : n.toString());
  } else if (w == "kv_list") {
    const keys = KV.list(a[1]);
    say(keys === null ? errorText(KV.listError) : keys.join(","));
  } else {
    return false;
  }
  return true;
}

function look(m: Message, a: string[]): bool {
  const w = a[0];
  if (w == "subject") say(m.subject());
  else if (w == "subject_contains") say(m.subjectContains(a.slice(1)).toString());
  else if (w == "header") say(m.header(a[1]));
  else if (w == "header_at") say(m.headerAt(a[1], I32.parseInt(a[2])));
  else if (w == "header_count") say(m.headerCount(a[1]).toString());
  else if (w == "has_header") say(m.hasHeader(a[1]).toString());
  else if (w == "from") say(person(m.from()));
  else if (w == "to") say(people(m.to()));
  else if (w == "cc") say(people(m.cc()));
  else if (w == "recipients") say(m.recipients().join(", "));
  else if (w == "auth") {
    const r = m.auth();
    say(r.spf + " " + r.dkim + " " + r.dmarc + " " + r.fromAligned.toString() + " " + r.disposition);
  } else if (w == "reply_ok") say(m.replyOK().toString());
  else if (w == "dry_run") say(m.dryRun().toString());
  else if (w == "text") say(m.text(I32.parseInt(a[1])));
  else if (w == "reply_to") say(m.replyTo().map<string>((a) => a.addr).join(", "));
  else if (w == "references") say(m.references().join(", "));
  else if (w == "in_reply_to") say(m.inReplyTo());
  else if (w == "size") say(m.size().toString());
  else if (w == "id") say(m.id());
  else if (w == "domain") say(m.domain());
  else if (w == "message_id") say(m.messageID());
  else if (w == "mailbox") say(m.mailbox());
  else if (w == "thread_id") say(m.threadID());
  else if (w == "new_thread_id") say(m.newThreadID());
  else if (w == "via") say(m.via());
  else if (w == "in_folder") say(m.folder());
  else if (w == "labels") say(m.labels().join(", "));
  else if (w == "flags") say(m.flags().join(", "));
  else if (w == "score_so_far") say(m.score().toString());
  else if (w == "type") say(m.type());
  else if (w == "event_id") say(m.eventID());
  else if (w == "attempt") say(m.attempt().toString());
  else if (w == "detail") say(m.detail());
  else if (w == "event") {
    const e = m.event();
    say(e.errno < 0 ? errorText(e.errno) : e.string("subject") + "|" + each(e, "headers", ".1") + "|" + e.string("text") + "|" + each(e, "parts", ".type"));
  } else if (w == "conversation") {
    const c = m.thread();
    say(c.errno < 0 ? errorText(c.errno) : c.string("thread_id") + "|" + c.string("subject") + "|" + c.string("count") + "|" + each(c, "messages", ".text"));
  } else if (w == "part") part(m, I32.parseInt(a[1]), I32.parseInt(a[2]), I32.parseInt(a[3]));
  else return false;
  return true;
}

/** Reads a part with so much room, and hashes each so-manieth byte of what there was room for. */
function part(m: Message, i: i32, room: i32, step: i32): void {
  const b = new Uint8Array(room);
  let at: i64 = 0, h: u32 = 2166136261, n = m.part(i, at, b);
  for (; n > 0; n = m.part(i, at, b)) {
    h = hash(h, b, n, step);
    at += n;
  }
  say(n < 0 ? errorText(n) : at.toString() + " " + h.toString());
}

function answered(r: Response, path: string): void { say(r.errno < 0 ? errorText(r.errno) : r.string(path)); }

function others(a: string[]): void {
  const w = a[0];
  if (w == "log") {
    if (a[1] == "debug") Log.debug(a[2]);
    else if (a[1] == "warn") Log.warn(a[2]);
    else if (a[1] == "error") Log.error(a[2]);
    else Log.info(a[2]);
  } else if (w == "config") say(config(a[1]));
  else if (w == "secret") say(secret(a[1]));
  else if (w == "now") say(now().toString());
  else if (w == "http") {
    const r = new Request(a[1], a[2]).header(a[3], a[4]).body(a[5]).fetch();
    say(r.errno < 0 ? errorText(r.errno) : r.status.toString() + "|" + r.header("x-answer") + "|" + r.text());
  } else if (w == "http_get") answered(HTTP.get(a[1]), a[2]);
  else if (w == "post_json") answered(HTTP.postJSON(a[1], a[2], a[3]), a[4]);
  else if (w == "scheduled") say(scheduled());
  else if (w == "previous") say(previous());
  else if (w == "alloc") {
    const items: string[] = [];
    let total = 0;
    for (let i = 0, n = I32.parseInt(a[1]); i < n; i++) items.push("item-" + i.toString());
    for (let i = 0; i < items.length; i++) total += items[i].length;
    say(total.toString());
  } else if (w == "calls") say((++calls).toString());
  else if (w == "fail") {
    Log.error(a[1]);
    failed = true;
  } else if (w == "panic") throw new Error(a[1]);
  else throw new Error("there is no word " + w);
}
