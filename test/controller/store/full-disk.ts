/**
 * A process of a test: requests are stored in a database on a disk of its own, of which another file takes the rest. Its
 * first argument is the directory where that disk is mounted, in a namespace of this process alone. Prints what it saw.
 */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sql } from 'kysely';
import { openStore } from '../../../src/controller/store/open.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { toGodwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { newRequest, requestAsk } from '../../../src/protocol/controller/fleet-request.ts';

const [directory = ''] = process.argv.slice(2);
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'godwit-test', directory]);
const store = await openStore({ sqlite: path.join(directory, 'fleet.db') }, silentLog);
const requests = new Requests(store);

const accepted: string[] = [];
/** Asks for one request; what the store said where it did not take it. */
async function ask(number: number): Promise<string | undefined> {
  const id = `r-${String(number).padStart(8, '0')}`;
  const hosts = Array.from({ length: 200 }, (_none, each) => `h${number}-${each}`);
  const request = newRequest(id, requestAsk.parse({ kind: 'evacuate', hosts }), {
    nowMs: 0,
    by: 'test',
  });
  try {
    await requests.add(request);
    accepted.push(id);
    return undefined;
  } catch (thrown) {
    const { code, message } = toGodwitError(thrown);
    return `${code} ${message}`;
  }
}

const known = async (): Promise<string[]> => (await requests.list()).map(({ id }) => id).toSorted();

await ask(1);
const filler = path.join(directory, 'filler');
try {
  writeFileSync(filler, Buffer.alloc(16 * 1024 * 1024));
} catch {
  // As much of it as there was room for.
}
let refused: string | undefined;
for (let number = 2; refused === undefined && number < 1000; number += 1)
  refused = await ask(number);
const acceptedWhenFull = accepted.toSorted();
const listedWhenFull = await known();
rmSync(filler);
const afterwards = await ask(5000);
const listedAfterwards = await known();
const check = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(store.db);
await store.close();
process.stdout.write(
  JSON.stringify({
    refused,
    acceptedWhenFull,
    listedWhenFull,
    afterwards: afterwards ?? 'accepted',
    accepted: accepted.toSorted(),
    listedAfterwards,
    integrity: check.rows.map((row) => row.integrity_check),
  }),
);
