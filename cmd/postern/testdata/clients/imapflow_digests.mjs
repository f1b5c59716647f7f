// Reads all of a folder, and prints the digest of each message.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ImapFlow } from 'imapflow';

const { ACCOUNT, KEY, CA, IMAPS, FOLDER } = process.env;
const complaints = [];
const tooDeep = []; // it follows 100 levels of parentheses, and leaves out a structure with more
const client = new ImapFlow({
  host: 'localhost', port: Number(IMAPS), secure: true, tls: { ca: readFileSync(CA) },
  auth: { user: ACCOUNT, pass: KEY }, logger: false, emitLogs: true,
});
client.on('log', (line) => {
  if (line.msg === 'FETCH data item exceeded the nesting limit and was dropped') tooDeep.push(Number(line.seq));
  else if (line.level === 'warn' || line.level === 'error') complaints.push(line);
});
await client.connect();
await client.mailboxOpen(FOLDER, { readOnly: true });
const without = [];
for await (const message of client.fetch('1:*', { source: true, envelope: true, bodyStructure: true, size: true })) {
  assert.ok(message.envelope && message.size === message.source.length);
  if (!message.bodyStructure) without.push(message.seq);
  console.log(message.uid, createHash('sha256').update(message.source).digest('hex'));
}
await client.logout();
assert.deepEqual(complaints, []);
assert.deepEqual(without, tooDeep);
assert.ok(without.length < 5, `without a structure: ${without}`);
