// What a program in Node does with its mail: every step is checked, against REST too.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ImapFlow } from 'imapflow';

const { ACCOUNT, KEY, CA, IMAPS, REST } = process.env;
const complaints = [];

async function connect() {
  const client = new ImapFlow({
    host: 'localhost', port: Number(IMAPS), secure: true, tls: { ca: readFileSync(CA) },
    auth: { user: ACCOUNT, pass: KEY }, qresync: true, logger: false, emitLogs: true,
  });
  client.on('log', (line) => line.level === 'warn' || line.level === 'error' ? complaints.push(line) : 0);
  client.on('error', (err) => complaints.push(err));
  await client.connect();
  assert.ok(client.secureConnection && client.authenticated);
  return client;
}

async function rest(method, path, body) {
  const answer = await fetch(REST + path, {
    method, headers: { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer;
}
const list = async (folder) => (await (await rest('GET', `/emails?folder=${encodeURIComponent(folder)}`)).json()).data;
const raw = async (id) => Buffer.from(await (await rest('GET', `/emails/${id}/raw`)).arrayBuffer());

// event waits for the next event of a client.
const event = (client, name) => new Promise((resolve, reject) => {
  const late = setTimeout(() => reject(new Error(`no event ${name}`)), 20_000);
  client.once(name, (data) => { clearTimeout(late); resolve(data); });
});

const client = await connect();

// Folders: those of special use are known by it, and names are of any script.
const uses = Object.fromEntries((await client.list()).map((f) => [f.path, f.specialUse]));
assert.deepEqual(uses, { INBOX: '\\Inbox', Sent: '\\Sent', Drafts: '\\Drafts', Trash: '\\Trash', Junk: '\\Junk', Archive: '\\Archive' });
const utf8 = 'Entwürfe/Ωμέγα';
assert.equal((await client.mailboxCreate(['Entwürfe', 'Ωμέγα'])).path, utf8);
const made = (await (await rest('GET', '/folders')).json()).data.find((f) => f.name === utf8);
assert.ok(made);
assert.equal((await client.status(utf8, { uidValidity: true })).uidValidity, BigInt(made.uidvalidity));

// A mail that arrives in IDLE, what becomes of its flags, and that it goes, is seen.
await client.mailboxOpen('INBOX');
assert.equal(client.mailbox.exists, 0);
client.idle();
let seen = event(client, 'exists');
await rest('POST', '/emails', { from: ACCOUNT, to: ACCOUNT, subject: 'arrives', text: 'hello' });
assert.equal((await seen).count, 1);
const [arrived] = await list('INBOX');
seen = event(client, 'flags');
await rest('PATCH', `/emails/${arrived.email_id}?folder=INBOX`, { is_starred: true, add_labels: ['work'] });
assert.deepEqual([...(await seen).flags].sort(), ['\\Flagged', 'work']);
seen = event(client, 'expunge');
await rest('DELETE', `/emails/${arrived.email_id}?folder=INBOX`);
await seen;
assert.equal(client.mailbox.exists, 0);
assert.equal((await list('Trash'))[0].subject, 'arrives');

// What is put here is there, with its flags and byte for byte.
const mail = 'From: Ann <ann@elsewhere.example>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <g@elsewhere.example>\r\n\r\nhi\r\n';
const put = await client.append('INBOX', mail, ['\\Seen', '$Todo'], new Date('2026-01-02T03:04:05Z'));
let there = (await list('INBOX'))[0];
assert.equal(there.uid, put.uid);
assert.ok(there.is_read && there.subject === 'grüße' && there.labels[0] === '$Todo');
await client.messageFlagsAdd('1', ['\\Answered', '\\Flagged', 'later']);
await client.messageFlagsRemove('1', ['\\Seen', '$Todo']);
there = (await list('INBOX'))[0];
assert.ok(!there.is_read && there.is_starred);
assert.deepEqual(there.labels, ['later']);
const one = await client.fetchOne('1', { source: true, envelope: true, bodyStructure: true, flags: true, internalDate: true, threadId: true, size: true });
assert.equal(one.source.toString(), mail);
assert.deepEqual(one.source, await raw(there.email_id));
assert.equal(one.envelope.subject, 'grüße');
assert.equal(one.size, mail.length);
assert.deepEqual([...one.flags].sort(), ['\\Answered', '\\Flagged', 'later']);
assert.deepEqual([one.emailId, one.threadId], [there.email_id, there.thread_id]);
const { storage } = await client.getQuota('INBOX');
assert.ok(storage.usage > 0 && storage.limit === 1 << 30);
assert.deepEqual(await client.search({ from: 'ann', subject: 'grüße', flagged: true }), [1]);
assert.deepEqual(await client.search({ body: 'nowhere' }), []);

// A file of 30 MB comes back as it was.
const file = randomBytes(30_000_000);
const large = Buffer.concat([
  Buffer.from('From: ann@elsewhere.example\r\nSubject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee file\r\n' +
    '--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=large.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n'),
  Buffer.from(file.toString('base64').replace(/.{76}/g, '$&\r\n')), Buffer.from('\r\n--b--\r\n'),
]);
const sum = (bytes) => createHash('sha256').update(bytes).digest('hex');
const { uid } = await client.append(utf8, large);
await client.mailboxOpen(utf8);
const whole = await client.fetchOne(String(uid), { source: true }, { uid: true });
assert.equal(sum(whole.source), sum(large));
assert.equal(sum(await raw((await list(utf8))[0].email_id)), sum(large));
const parts = [];
for await (const piece of (await client.download(String(uid), '2', { uid: true })).content) parts.push(piece);
assert.equal(sum(Buffer.concat(parts)), sum(file));

// Moving, copying, deleting; another name for a folder, and none.
await client.messageMove('1', 'Archive');
assert.deepEqual([await list(utf8), (await list('Archive'))[0].subject], [[], 'large']);
await client.mailboxOpen('INBOX');
await client.messageCopy('1', utf8);
assert.equal((await list(utf8))[0].email_id, there.email_id);
await client.messageDelete('1');
assert.deepEqual(await list('INBOX'), []);
await client.mailboxRename(utf8, 'Später/Ω');
assert.equal((await list('Später/Ω'))[0].email_id, there.email_id);
await client.mailboxDelete('Später/Ω');
assert.ok(!(await client.list()).some((f) => f.path === 'Später/Ω'));

await client.logout();
assert.deepEqual(complaints, []);
console.log('done');
