import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ImageStore } from '../../../src/drivers/qemu/images/images.ts';
import { inspectFacts } from '../../../src/drivers/qemu/inspect.ts';
import type { GuestFacts } from '../../../src/drivers/qemu/spec/facts.ts';
import type { Check } from '../../../src/protocol/public/migration.ts';
import { commandLine, factsOf } from './spec/facts.ts';

describe('the state of a moving guest', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'godwit-inspect-'));
  });
  after(() => rm(dir, { recursive: true }));

  async function checksOf(change: Partial<GuestFacts>, more = ''): Promise<readonly Check[]> {
    const facts = factsOf(commandLine(`-machine pc-q35-7.2 -m 512M ${more}`.trim()), change);
    const abilities = { version: '7.2.22', capabilities: [], multifdCompression: [] };
    const images = { store: new ImageStore(dir), signal: new AbortController().signal };
    const stream = { mode: 'precopy', streams: 1, compress: 'none' } as const;
    const { checks } = await inspectFacts('web1', facts, abilities, stream, images);
    return checks;
  }
  const stateOf = async (change: Partial<GuestFacts>): Promise<Check | undefined> =>
    (await checksOf(change)).find(({ name }) => name === 'state');

  test('the state is right while the guest runs and no migration is under way', async () => {
    for (const migrationStatus of ['none', 'completed', 'failed', 'cancelled']) {
      assert.equal((await stateOf({ migrationStatus }))?.verdict, 'pass');
    }
  });

  test('a paused guest is refused', async () => {
    const { verdict, error } = (await stateOf({ status: 'paused' })) ?? {};
    assert.equal(verdict, 'refuse');
    assert.equal(error?.code, 'GODWIT_GUEST_STATE');
  });

  test("a guest whose hypervisor has not ended an earlier migration is refused with QEMU's report", async () => {
    for (const migrationStatus of ['device', 'cancelling', 'postcopy-paused', 'active']) {
      const { error } = (await stateOf({ migrationStatus })) ?? {};
      assert.equal(error?.code, 'GODWIT_GUEST_STUCK');
      assert.match(error?.message ?? '', new RegExp(`web1.*${migrationStatus}`));
    }
  });

  test('a guest with an invariant TSC and no set frequency is refused, as by QEMU itself', async () => {
    const reason = 'State blocked by non-migratable CPU device (invtsc flag)';
    const kept = await checksOf({ accelerator: 'kvm', blockedReasons: [reason] });
    const found = kept.find(({ name }) => name === 'blocked');
    assert.equal(found?.verdict, 'refuse');
    assert.match(found?.error?.message ?? '', /invtsc flag/);
    assert.match(found?.error?.hint ?? '', /--mode cold/);
  });

  test('a guest under KVM with reenlightenment and no set TSC frequency causes a warning', async () => {
    const warnings = async (cpu: string, accelerator: GuestFacts['accelerator'] = 'kvm') => {
      const checks = await checksOf({ accelerator }, `-cpu ${cpu}`);
      return checks.filter(({ verdict }) => verdict === 'warn').map(({ evidence }) => evidence);
    };
    const [first = '', ...others] = await warnings('host,hv-reenlightenment');
    assert.match(first, /hv-reenlightenment .* no `tsc-frequency`/);
    assert.deepEqual(others, []);
    assert.deepEqual(await warnings('host,hv_reenlightenment=on,tsc-frequency=2600000000'), []);
    assert.deepEqual(await warnings('host,hv-reenlightenment=off'), []);
    assert.deepEqual(
      (await warnings('max,hv-reenlightenment', 'tcg')).filter((text) => /hv-/.test(text)),
      [],
    );
  });
});

test('a guest with more parts than a description allows is refused by their number', async (t) => {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'godwit-inspect-'));
  t.after(() => rm(dir, { recursive: true }));
  const refusalOf = async (words: readonly string[]): Promise<Check['error']> => {
    const facts = factsOf(commandLine(['-machine pc-q35-7.2 -m 512M', ...words].join(' ')));
    const abilities = {
      version: '7.2.22',
      capabilities: ['events', 'return-path', 'pause-before-switchover'],
      multifdCompression: [],
    };
    const images = { store: new ImageStore(dir), signal: new AbortController().signal };
    const stream = { mode: 'precopy', streams: 1, compress: 'none' } as const;
    const { checks } = await inspectFacts('web1', facts, abilities, stream, images);
    return checks.find(({ verdict }) => verdict === 'refuse')?.error;
  };
  const chardevs = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => `-chardev null,id=c${index}`);
  assert.equal(await refusalOf(chardevs(256)), undefined);
  const error = await refusalOf(chardevs(257));
  assert.equal(error?.code, 'GODWIT_TOO_MANY');
  assert.equal(error?.message, 'web1 has 257 character devices; a guest can move with at most 256');
});
