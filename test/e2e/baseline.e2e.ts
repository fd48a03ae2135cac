import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { qemuBinaries } from '../../lab/guest/qemu.ts';
import { baselineAnswer } from '../../src/protocol/public/hosts/processor.ts';
import { godwit } from './support/cli.ts';
import { openWorld, type World } from './support/world.ts';
import { untilSo } from '../until.ts';

const MIB = 1024 ** 2;
const qemus = await qemuBinaries();
const old = qemus.find(({ version }) => version.startsWith('7.2.'));
const [newest] = qemus;
const skip =
  old === undefined || newest === undefined || old === newest
    ? 'needs QEMU 7.2 and a newer one'
    : false;

/** What hosts a and b emulate differs by their QEMU. Host c is to have a processor that no emulator gives. */
const OPTIONS: Readonly<Record<string, object>> = {
  a: { programs: [newest?.path], baseline: 'Nehalem-v1' },
  b: { programs: [old?.path] },
  c: { programs: [newest?.path], baseline: 'EPYC-Genoa-v1,aes=on' },
};

describe('a baseline', { skip }, () => {
  let world: World;

  before(async () => {
    world = await openWorld('basel', {
      hosts: 3,
      configure: (host) => ({ drivers: { qemu: OPTIONS[host] } }),
    });
    await startGuest(world.lab, { name: 'base1', host: 'a', memoryBytes: 128 * MIB });
  });
  after(() => world?.close());

  const ask = async (...words: string[]) => {
    const { exit, out, err } = await godwit(world, 'advise', 'cpu', ...words, '--json');
    assert.equal(err, '');
    const { baselines, missing } = baselineAnswer.parse(JSON.parse(out));
    assert.deepEqual(missing, []);
    const found = baselines.find(({ accelerator }) => accelerator === 'tcg');
    assert.ok(found?.baseline !== undefined, out);
    return { exit, found, baseline: found.baseline };
  };

  test('the baseline of hosts with unequal QEMUs leaves out what the older one lacks', async () => {
    const both = await ask('a', 'b');
    const alone = await ask('b');
    assert.deepEqual(both.baseline.features, alone.baseline.features);
    const loses = (name: string) => both.found.hosts.find(({ host }) => host === name)?.loses;
    assert.deepEqual(loses('b'), []);
    assert.ok((loses('a')?.length ?? 0) > 0);
    const guest = both.found.guests.find((each) => each.guest === 'base1');
    assert.deepEqual(guest?.beyond, loses('a'), 'the guest has all that its QEMU gives');
  });

  test('the baseline is checked against a new host, with an exit code', async () => {
    const able = await ask('b', '--candidate', 'a');
    assert.deepEqual([able.exit, able.found.short], [0, []]);
    const unable = await ask('a', '--candidate', 'b');
    assert.equal(unable.exit, 4);
    assert.match(unable.found.short?.join() ?? '', /it lacks /);
  });

  test('a baseline that is set excludes a host that cannot give it, and warns of a guest that exceeds it', async () => {
    const { hosts } = await world.agent('a').check({ body: { guest: 'base1', to: 'c' } });
    const made = hosts[0]?.checks.filter(({ name }) => name === 'baseline') ?? [];
    assert.deepEqual(
      made.map(({ side, verdict, error }) => [side, verdict, error?.code]),
      [
        ['source', 'warn', undefined],
        ['destination', 'refuse', 'GODWIT_BASELINE'],
      ],
    );
    // And nobody has to ask for it: an agent lists its last look, and the first look does not wait for what the host offers.
    await untilSo(async () => {
      const { out } = await godwit(world, 'guests');
      return /^base1 .*the guest has more than Nehalem-v1: /m.test(out);
    });
  });

  test('the baseline of a missing host is refused by its name', async () => {
    const { exit, err } = await godwit(world, 'advise', 'cpu', 'a', 'zz');
    assert.equal(exit, 3, err);
    assert.match(err, /no host is called zz/);
  });
});
