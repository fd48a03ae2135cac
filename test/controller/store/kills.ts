import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { openStore } from '../../../src/controller/store/open.ts';
import { silentLog } from '../../../src/log.ts';

const WRITER = path.join(import.meta.dirname, 'writer.ts');

/**
 * Starts a process that writes to a file, kills it somewhere in it, and looks at what it left; `times` times. Each
 * transaction of the writer adds one to both counters, and it says the number once that is accepted.
 */
export async function killWriters(file: string, times: number): Promise<{ written: number }> {
  let written = 0;
  for (let kill = 0; kill < times; kill += 1) {
    const accepted = await killOne(file, (kill * 7) % 40);
    const store = await openStore({ sqlite: file }, silentLog);
    const counters = await store.db.selectFrom('counters').select('value').execute();
    const check = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(store.db);
    await store.close();
    assert.deepEqual(
      check.rows.map((row) => row.integrity_check),
      ['ok'],
    );
    const [one, other] = counters.map(({ value }) => value);
    assert.equal(one, other, `one half of a transaction is there: ${one} and ${other}`);
    assert.ok(one! >= accepted, `${accepted} was accepted, and ${one} is there`);
    written = one!;
  }
  return { written };
}

/** The last number that it said before it was killed. */
async function killOne(file: string, afterMs: number): Promise<number> {
  const writer = spawn(process.execPath, [WRITER, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let accepted = 0;
  const lines = createInterface({ input: writer.stdout });
  const begun = Promise.withResolvers<void>();
  lines.on('line', (line) => {
    accepted = Number(line);
    begun.resolve();
  });
  const closed = once(writer, 'close');
  await Promise.race([
    begun.promise,
    closed.then(() => assert.fail('the writer ended before it wrote')),
  ]);
  await sleep(afterMs);
  writer.kill('SIGKILL');
  await closed;
  return accepted;
}
