import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadReader } from '../../src/agent/host/load.ts';
import { systemClock, type Clock } from '../../src/clock.ts';
import { SHORTEST_LOOK_MS } from '../../src/controller/inventory/guest-looks.ts';
import { fleet, guest } from '../agent/samples.ts';
import { until } from '../until.ts';
import { controllerOf } from './test-controller.ts';

const CORES = 8;
const TICKS_PER_S = 100;
const HOUR_MS = 3_600_000;
const WAIT_MS = 90_000;

/** A kernel whose processors and processes use so much, cores by pid, since a moment of this test. */
function kernel(used: Readonly<Record<number, number>>): LoadReader {
  const beganMs = performance.now();
  const ticks = (cores: number): number =>
    Math.round(((performance.now() - beganMs) / 1000) * TICKS_PER_S * cores);
  const all = Object.values(used).reduce((sum, each) => sum + each, 0);
  const stat = (): string => {
    const busy = Math.min(CORES, all);
    const lines = Array.from({ length: CORES }, (_none, at) => `cpu${at} 0 0 0 0 0 0 0 0\n`);
    return `cpu  ${ticks(busy)} 0 0 ${ticks(CORES - busy)} 0 0 0 0\n${lines.join('')}`;
  };
  return {
    own: async () => new Set<string>(),
    proc: async (file) => {
      if (file === 'stat') return stat();
      if (file === 'meminfo') return 'MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n';
      const [pid = '', what] = file.split('/');
      const cores = used[Number(pid)];
      if (cores === undefined) return '';
      if (what === 'status') return 'VmRSS: 1024 kB\n';
      return `${pid} (qemu) S 1 1 1 0 0 0 0 0 0 0 ${ticks(cores)} 0 0 0 20 0 4 0 77 0 0\n`;
    },
  };
}

const broken: LoadReader = {
  own: async () => new Set<string>(),
  proc: () => Promise.reject(new Error('no such file')),
};

test('missing and senseless samples, and a wrong clock, are named by balance, and no move rests on them', async (t) => {
  const { host, caDir } = await fleet(t);
  const off: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() - 3 * HOUR_MS };
  const made = async (
    name: string,
    guests: Readonly<Record<string, readonly [pid: number, vcpus: number]>>,
    more: { readonly load: LoadReader; readonly clock?: Clock },
  ) => {
    const own = Object.entries(guests).map(([of, [pid, vcpus]]) =>
      guest(of, { host: name, pid, vcpus }),
    );
    const { agent } = await host(name, { guests: () => own, ...more });
    const addresses: string[] = [];
    return [name, { address: agent.address, addresses }] as const;
  };
  const hosts = Object.fromEntries([
    await made(
      'a',
      { a1: [101, 4], a2: [102, 4], a3: [103, 4], liar: [104, 2] },
      { load: kernel({ 101: 3.5, 102: 3, 103: 2.5, 104: 40 }) },
    ),
    await made('b', { b1: [201, 4] }, { load: kernel({ 201: 0.5 }) }),
    await made('c', { c1: [301, 4] }, { load: broken }),
    await made('d', { d1: [401, 4] }, { load: kernel({ 401: 0.5 }), clock: off }),
  ]);
  const { api } = await controllerOf(t, caDir, { hosts, policies: { lookMs: SHORTEST_LOOK_MS } });
  const look = (kind: 'balance' | 'consolidate') =>
    api.runPolicy({ params: { kind, scope: 'fleet' }, query: { dryRun: 'true' } });
  const wanted = [
    /^liar: is said to use (39|40|41)(\.\d)? cores and has 2; it stays$/m,
    /^c: no sample of late of how busy it is; nothing moves from there or to it$/m,
    /^d: its clock is 3 h 00 min behind its controller’s; its samples count from when they come$/m,
  ];
  const said = await until('the policy to name all of it', WAIT_MS, async () => {
    const { refusals } = await look('balance');
    return wanted.every((each) => each.test(refusals.join('\n'))) ? refusals : undefined;
  });
  t.diagnostic(said.join('; '));
  for (const kind of ['balance', 'consolidate'] as const) {
    const { proposals } = await look(kind);
    for (const { guest: name, from, to } of proposals.flatMap(({ moves }) => moves)) {
      assert.notEqual(name, 'liar');
      assert.ok(from !== 'c' && to !== 'c', `${name}: ${from} to ${to}`);
    }
  }
});
