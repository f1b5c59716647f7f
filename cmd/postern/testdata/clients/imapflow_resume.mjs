// Knows a mailbox, loses its server, and asks the next one what has changed since.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ImapFlow } from 'imapflow';

const { ACCOUNT, KEY, CA, IMAPS } = process.env;
const complaints = [];
const lines = createInterface({ input: process.stdin });

async function connect() {
  const client = new ImapFlow({
    host: 'localhost', port: Number(IMAPS), secure: true, tls: { ca: readFileSync(CA) },
    auth: { user: ACCOUNT, pass: KEY }, qresync: true, logger: false, emitLogs: true,
  });
  client.on('log', (line) => line.level === 'warn' || line.level === 'error' ? complaints.push(line) : 0);
  await client.connect();
  assert.ok(client.enabled.has('QRESYNC'));
  return client;
}

const before = await connect();
before.on('error', () => {}); // the server is killed: of that it may complain
const { uidValidity, highestModseq } = await before.mailboxOpen('INBOX');
before.idle().catch(() => {}); // as above
const closed = once(before, 'close');
console.log('ready');
await closed;
complaints.length = 0;
await once(lines, 'line'); // it is up again

const client = await connect();
const gone = [];
client.on('expunge', (e) => gone.push(e.uid));
const now = await client.mailboxOpen('INBOX', { uidValidity, changedSince: highestModseq });
assert.equal(now.uidValidity, uidValidity);
assert.ok(now.highestModseq > highestModseq);
await client.noop();
const changed = [];
for await (const m of client.fetch('1:*', { flags: true, uid: true }, { changedSince: highestModseq })) {
  changed.push([m.uid, [...m.flags].join()]);
}
await client.logout();
lines.close();
assert.deepEqual(complaints, []);
console.log(JSON.stringify({ gone, changed }));
