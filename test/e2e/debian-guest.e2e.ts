import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { runningOn } from '../../lab/witness/qemus.ts';
import { until } from '../until.ts';
import { assertConfined } from './support/confinement.ts';
import { lacksDebianGuest, startDebianGuest, type DebianGuest } from './support/debian-guest.ts';
import { withGuestStory } from './support/guest-story.ts';
import { askGuestQemu } from './support/monitors.ts';
import { directionOf, move, unlessForbidden, type Move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import {
  bringPgbench,
  openRowsClient,
  startPgbench,
  type Pgbench,
  type RowsClient,
} from './support/rows.ts';
import { openWorld, type World } from './support/world.ts';

const GUEST = 'deb1';
/** Before a command of tpm2-tools. */
const TPM = 'TPM2TOOLS_TCTI=device:/dev/tpmrm0';
const VENDOR = '6f0ddc86-4b30-4f3a-9f43-1f0d2f6f6f64';
/** Inserts before and after each move, so that it is one of a database at work. */
const ROWS = 100;
const ROWS_MS = 120_000;
/** Its disk and its memory, on a busy machine. */
const MOVE_MS = 300_000;
/** A pre-copy that ends whatever the guest writes, without post-copy. */
const ENDS = { steering: 'no-postcopy' } as const;
const WAYS: readonly (readonly [string, Partial<Move>])[] = [
  ['pre-copy, from QEMU to QEMU', { ...ENDS, path: 'native' }],
  ['pre-copy, over the wire', { ...ENDS, path: 'wire' }],
  ['post-copy, from QEMU to QEMU', { mode: 'postcopy', path: 'native' }],
  ['post-copy, over the wire', { mode: 'postcopy', path: 'wire' }],
  ['hybrid, from QEMU to QEMU', { mode: 'hybrid', path: 'native' }],
  ['hybrid, over the wire', { mode: 'hybrid', path: 'wire' }],
];

const missing = lacksDebianGuest();

describe('Debian with PostgreSQL on UEFI firmware, with a TPM', { skip: missing ?? false }, () => {
  let world: World;
  let guest: DebianGuest;
  let rows: RowsClient;
  let pgbench: Pgbench;

  before(async () => {
    await bringPgbench();
    world = await openWorld('debg', { hosts: 2, storage: 'local' });
    guest = await startDebianGuest(world, GUEST, 'a');
    await guest.does('pg_lsclusters -h | grep -w online');
    await guest.does(`${TPM} tpm2_nvdefine 0x1800001 -C o -s 8 -a "ownerread|ownerwrite"`);
    await guest.does(`echo -n godwit-1 | ${TPM} tpm2_nvwrite 0x1800001 -C o -i -`);
    await writeVariable('Begun');
    pgbench = await startPgbench(world.lab, guest.address);
    rows = await openRowsClient(world.lab, guest.address);
    await rows.write();
  });
  after(async () => {
    await rows?.stop();
    await world?.close();
  });

  const variableOf = (name: string): string => `/sys/firmware/efi/efivars/${name}-${VENDOR}`;
  const writeVariable = (name: string): Promise<string> =>
    guest.does(`printf '\\007\\000\\000\\000kept' >${variableOf(name)}`);
  const readVariable = (name: string): Promise<string> =>
    guest.does(`cat ${variableOf(name)} | tail -c +5`);
  /** What the firmware, the loader and the test have measured. */
  const registers = (): Promise<string> => guest.does(`${TPM} tpm2_pcrread sha256:0,2,4,7,11,16`);
  const kept = (): Promise<string> => guest.does(`${TPM} tpm2_nvread 0x1800001 -C o -s 8`);

  async function untilInserted(more: number): Promise<void> {
    const was = await rows.look();
    await until(`${more} more rows`, ROWS_MS, async () => {
      const now = await rows.look();
      assert.deepEqual(now.broken, []);
      return now.rows >= was.rows + more ? true : undefined;
    });
  }

  async function assertRows(): Promise<void> {
    await rows.pause();
    assert.deepEqual(await rows.check(), []);
    await rows.forget();
    await rows.write();
  }

  /** Moves it under its clients, and sees that they lost nothing but time, and the guest nothing at all. */
  async function moved(t: TestContext, name: string, request: Partial<Move>): Promise<void> {
    const { from, to } = await directionOf(world, GUEST);
    await writeVariable(name);
    await guest.does(`${TPM} tpm2_pcrextend 16:sha256=${'ab'.repeat(32)}`);
    const measured = await registers();
    await untilInserted(ROWS);
    const { longestMs: usualMs } = await rows.look();
    await rows.forget();
    const report = await move(world, { guest: GUEST, from, to, ...request }, MOVE_MS);
    await withGuestStory(world.lab, GUEST, () => untilInserted(ROWS));
    const { longestMs } = await rows.look();
    t.diagnostic(
      `longest insert ${Math.round(longestMs)} ms (before: ${Math.round(usualMs)} ms), blackout ${report.blackoutMs} ms, ` +
        `downtime ${report.downtimeMs} ms, waited for pages ${report.postcopyWaitedMs ?? 0} ms, in all ${report.totalMs} ms`,
    );
    assert.deepEqual(await runningOn(world.lab, GUEST), [to]);
    await assertRows();
    assert.equal(await registers(), measured);
    assert.equal(await kept(), 'godwit-1');
    assert.equal(await readVariable(name), 'kept');
    await writeVariable(`${name}There`);
    const { disk, store } = guest.files(to);
    for (const each of [name, `${name}There`])
      assert.ok((await readFile(store)).includes(Buffer.from(each, 'utf16le')), each);
    assert.ok(existsSync(disk));
    assert.deepEqual(await readdir(path.dirname(guest.files(from).disk)).catch(() => []), []);
    await assertConfined(world, GUEST, to);
    await assertOnlyGuests(world, { [to]: [GUEST] }, { [to]: ['swtpm'] });
  }

  for (const [index, [way, request]] of WAYS.entries()) {
    test(`a guest moves by ${way}, while a client inserts`, async (t) => {
      await unlessForbidden(t, () => moved(t, `Move${index}`, request));
    });
  }

  test('a guest has each transaction of pgbench once, and its tables agree', async () => {
    const done = await pgbench.end();
    assert.ok(done > 0);
    const sums = ['accounts', 'tellers', 'branches'].map(
      (table) => `select sum(${table.at(0)}balance) from pgbench_${table}`,
    );
    const asked = ['select count(*) from pgbench_history', ...sums];
    const sql = `select ${[...asked, 'select sum(delta) from pgbench_history'].map((each) => `(${each})`).join(', ')}`;
    const said = await guest.does(`psql -h ${guest.address} -U postgres -Atc '${sql}'`);
    const [count, ...balances] = said.split('|');
    assert.equal(Number(count), done);
    assert.deepEqual(new Set(balances).size, 1, said);
  });

  test('a guest boots from the disk and the variables that came along, and has all of the data', async () => {
    await rows.pause();
    const was = await guest.does('cat /proc/sys/kernel/random/boot_id');
    // As at a loss of power: what was acknowledged is on the disk.
    const { from } = await directionOf(world, GUEST);
    await askGuestQemu(world, GUEST, from, 'system_reset');
    await guest.untilUp(was);
    await until('PostgreSQL to be up', ROWS_MS, () =>
      guest.does('pg_lsclusters -h | grep -w online').catch(() => undefined),
    );
    await rows.again();
    assert.deepEqual(await rows.check(), []);
    assert.equal(await kept(), 'godwit-1');
    assert.equal(await readVariable('Begun'), 'kept');
    await rows.write();
    await untilInserted(ROWS);
  });
});
