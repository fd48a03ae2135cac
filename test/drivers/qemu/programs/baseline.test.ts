import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  belowBaseline,
  guestFits,
  GuestsBeyond,
  hostGives,
  type SetBaseline,
} from '../../../../src/drivers/qemu/programs/baseline.ts';
import type { QemuProgram } from '../../../../src/drivers/qemu/programs/binaries.ts';
import { qemuOptions } from '../../../../src/drivers/qemu/options.ts';
import type { ProcessorOffer } from '../../../../src/protocol/public/hosts/processor.ts';

const never = new AbortController().signal;
const offer = (more: Partial<ProcessorOffer> = {}): ProcessorOffer => ({
  driver: 'qemu',
  version: '10.0.2',
  accelerator: 'kvm',
  vendor: 'GenuineIntel',
  features: ['aes', 'avx', 'lm', 'sse2'],
  models: [{ name: 'Nehalem-v1', features: ['lm', 'sse2'] }],
  ...more,
});
const set = (offers: readonly ProcessorOffer[], argument = 'Nehalem-v1,aes=on') => ({
  argument,
  offers: () => Promise.resolve(offers),
});
/** The program and the accelerator that a guest would have on host b. */
const gives = (
  baseline: SetBaseline | undefined,
  version = '10.0.2',
  name: 'kvm' | 'tcg' = 'kvm',
) => {
  const program = { version } as QemuProgram;
  return hostGives(baseline, { program, spec: { accelerator: { name, props: {} } } }, 'b', never);
};

test('a host that gives the baseline accepts a guest, and one that does not is refused with the missing features', async () => {
  const [able] = await gives(set([offer()]));
  assert.deepEqual([able?.name, able?.verdict, able?.side], ['baseline', 'pass', 'destination']);
  const [weak] = await gives(set([offer({ features: ['lm', 'sse2'] })]));
  assert.deepEqual([weak?.verdict, weak?.error?.code], ['refuse', 'GODWIT_BASELINE']);
  assert.match(weak?.error?.message ?? '', /b cannot provide .*Nehalem-v1,aes=on: it lacks aes/);
  const [unknown] = await gives(set([offer({ models: [] })]));
  assert.match(unknown?.error?.message ?? '', /it has no Nehalem-v1/);
});

test("the program that would run the guest counts, with the guest's accelerator", async () => {
  const emulated = offer({ accelerator: 'tcg', features: ['lm'] });
  const old = offer({ version: '7.2.0', features: ['lm', 'sse2'] });
  const all = set([offer(), old, emulated]);
  assert.equal((await gives(all))[0]?.verdict, 'pass');
  assert.equal((await gives(all, '7.2.0'))[0]?.verdict, 'refuse');
  assert.equal((await gives(all, '10.0.2', 'tcg'))[0]?.verdict, 'refuse');
});

test('a host is not a destination if none of its QEMUs gives the baseline', async () => {
  const emulated = offer({ accelerator: 'tcg', features: ['aes', 'lm', 'sse2'] });
  const weak = offer({ features: ['lm', 'sse2'] });
  assert.equal(await belowBaseline(set([offer(), weak, emulated]), never), undefined);
  // Emulation gives the feature, and would run no guest of a host with KVM.
  assert.match(
    (await belowBaseline(set([weak, emulated]), never)) ?? '',
    /Nehalem-v1,aes=on: it lacks aes$/,
  );
  assert.equal(await belowBaseline(set([emulated]), never), undefined);
  assert.equal(await belowBaseline(set([weak], 'no-version'), never), undefined);
  assert.equal(await belowBaseline(set([]), never), undefined);
});

test('a guest that has more than the baseline causes a warning with the additional features', async () => {
  const has = (features: string[]) =>
    guestFits(set([offer()]), { accelerator: 'kvm', cpu: { features } }, never);
  assert.equal((await has(['aes', 'lm']))[0]?.verdict, 'pass');
  const [more] = await has(['aes', 'avx', 'lm']);
  assert.equal(more?.verdict, 'warn');
  assert.match(more?.evidence ?? '', /more than Nehalem-v1,aes=on: avx$/);
  assert.match(more?.hint ?? '', /-cpu Nehalem-v1,aes=on/);
  assert.deepEqual(await guestFits(set([offer()]), { accelerator: 'kvm' }, never), []);
});

test('an invalid baseline is refused when the configuration is read', () => {
  const read = (baseline: string) => qemuOptions.safeParse({ baseline }).success;
  assert.ok(read('EPYC-Rome-v4') && read('Nehalem-v1,aes=on,sse4.2=on'));
  for (const bad of [
    'host',
    'max',
    'Nehalem',
    'Nehalem-v1,aes',
    'Nehalem-v1,aes=off',
    'x-v1,a=on,-s',
  ])
    assert.ok(!read(bad), bad);
});

test('a warning for guests above the baseline is given from the look after the first one on', async () => {
  const guests = new GuestsBeyond();
  let asked = 0;
  const counted = {
    ...set([offer()]),
    offers: () => {
      asked += 1;
      return Promise.resolve([offer()]);
    },
  };
  const more = { accelerator: 'kvm', cpu: { features: ['aes', 'avx', 'lm', 'sse2'] } };
  assert.deepEqual(guests.of(counted, 0)(more), [], 'nobody waits for what the host offers');
  await setImmediate();
  const look = guests.of(counted, 5000);
  assert.deepEqual(look(more), ['the guest has more than Nehalem-v1,aes=on: avx']);
  assert.deepEqual(look({ ...more, cpu: { features: ['aes', 'lm', 'sse2'] } }), []);
  assert.deepEqual(look({ accelerator: 'tcg' }), []);
  guests.of(counted, 70_000);
  assert.equal(asked, 2, 'it is looked again what the host offers');
});
