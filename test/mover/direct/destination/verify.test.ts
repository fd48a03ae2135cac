import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentConfig } from '../../../../src/config.ts';
import type { DestinationSession } from '../../../../src/port/direct.ts';
import { godwitError } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  initialDestination,
  type DestinationState,
} from '../../../../src/migration/direct/destination/destination.ts';
import { verifyHere } from '../../../../src/mover/direct/destination/verify.ts';
import { migrationSettings } from '../../../../src/protocol/public/migration.ts';
import type { VerifyAnswer } from '../../../../src/protocol/peer/verify.ts';
import { admissionOf, planned, preparationOf } from '../../../migration/direct/samples.ts';

const FILES = ['/images/vda.raw'];

interface Setup {
  readonly session?: object;
  readonly driver?: object;
  readonly ports?: object;
  readonly network?: object;
  readonly connections?: object;
  readonly prepared?: boolean;
  readonly plug?: readonly string[];
}

async function answerOf(given: Setup = {}): Promise<VerifyAnswer> {
  const plan = planned();
  const { plug } = given;
  const settings = migrationSettings.parse(plug === undefined ? {} : { plug });
  const network = given.network === undefined ? {} : { network: given.network };
  const context: unknown = {
    config: agentConfig.parse({ name: 'b', address: '10.0.0.2:7443', stateDir: '/s', ...network }),
    connections: given.connections,
    driver: given.driver ?? {},
    log: silentLog,
    ports: given.ports ?? { map: async () => undefined, segments: async () => [] },
  };
  const admission = { ...admissionOf(plan), settings };
  const admitted = { type: 'admitted', admission, host: 'b' } as const;
  const begun = initialDestination(admitted);
  const state: DestinationState =
    given.prepared === false ? begun : { ...begun, preparation: preparationOf(plan) };
  return verifyHere(
    context as Parameters<typeof verifyHere>[0],
    state,
    (given.session ?? {}) as DestinationSession,
  );
}

/** What was found of one look: its verdict, or `not tried`, and the evidence. */
async function lookAt(name: string, given?: Setup): Promise<string[]> {
  const { checks } = await answerOf(given);
  return checks
    .filter((each) => each.name === name)
    .map(({ verdict, notTried, evidence }) => `${notTried ? 'not tried' : verdict}: ${evidence}`);
}

describe('disks of an arrived guest', () => {
  const written = (files: readonly string[], remote: number) => ({
    disks: { written: async () => ({ files, remote }) },
  });
  const writers = (...by: readonly string[]) => ({ diskWriters: async () => [by] });

  test("the arrived guest's disks pass if one hypervisor writes to each, and are in doubt if several do", async () => {
    const session = written(FILES, 0);
    const [fine] = await lookAt('disks', { session, driver: writers('qemu 7') });
    assert.match(fine ?? '', /^pass: at b one hypervisor alone may write to \/images\/vda.raw/);
    const [split] = await lookAt('disks', { session, driver: writers('qemu 7', 'qemu 9') });
    assert.match(split ?? '', /^warn: .*qemu 7 and qemu 9 write to/);
  });

  test('network disks of the hypervisor are reported as unchecked, next to the checked ones', async () => {
    const driver = writers('qemu 7');
    const both = await lookAt('disks', { session: written(FILES, 2), driver });
    assert.equal(both.length, 2);
    assert.match(both[1] ?? '', /^not tried: .*2 of its images are reached by its hypervisor/);
    const remote = await lookAt('disks', { session: written([], 2), driver });
    assert.deepEqual(remote, both.slice(1));
  });

  test("the arrived guest's disks are not checked if there are none, or the driver reports none", async () => {
    const none = await lookAt('disks', { session: written([], 0), driver: writers() });
    assert.match(none[0] ?? '', /^not tried: .*it writes to no disk/);
    const unknown = await lookAt('disks', { session: written(FILES, 0) });
    assert.match(unknown[0] ?? '', /^not tried: .*does not know which files/);
  });

  test('disks that cannot be checked are reported as unchecked, with the reason', async () => {
    const session = {
      disks: { written: async () => Promise.reject(new Error('its monitor hangs')) },
    };
    const [said] = await lookAt('disks', { session, driver: writers() });
    assert.match(said ?? '', /^not tried: .*its monitor hangs/);
  });
});

describe('segments of an arrived guest', () => {
  const ports = (...checks: readonly object[]) => ({
    map: async () => undefined,
    segments: async () => checks,
  });
  const segment = { name: 'segment', side: 'destination', evidence: 'net0: nobody answers' };

  test("the arrived guest's segments are mapped before the check, since a new mover has no map", async () => {
    const order: string[] = [];
    await answerOf({
      ports: {
        map: async () => void order.push('map'),
        segments: async () => {
          order.push('ask');
          return [];
        },
      },
    });
    assert.deepEqual(order, ['map', 'ask']);
  });

  test('a segment that would refuse an arriving guest only warns once it runs, with a hint', async () => {
    const { checks } = await answerOf({ ports: ports({ ...segment, verdict: 'refuse' }) });
    const [found] = checks.filter(({ name }) => name === 'segment');
    assert.equal(found?.verdict, 'warn');
    assert.match(found.hint ?? '', /godwit report/);
  });

  test('passed and unchecked segments are reported, and other network checks are omitted', async () => {
    const other = { name: 'addresses', side: 'destination', verdict: 'warn', evidence: 'x' };
    const passed = { ...segment, verdict: 'pass' };
    const skipped = { ...passed, notTried: true };
    const found = await lookAt('segment', { ports: ports(passed, skipped, other) });
    assert.deepEqual(found, ['pass: net0: nobody answers', 'not tried: net0: nobody answers']);
    const { checks } = await answerOf({ ports: ports(other) });
    assert.equal(
      checks.some(({ name }) => name === 'addresses'),
      false,
    );
  });

  test('segments are unchecked for a guest without a NIC in one, and absent if nothing was prepared', async () => {
    assert.match((await lookAt('segment'))[0] ?? '', /^not tried: .*no NIC in a segment/);
    assert.deepEqual(await lookAt('segment', { prepared: false }), []);
  });
});

describe('handed-over connections', () => {
  const seen = (found: object) => ({ verify: async () => found });
  const all = { count: 2, established: 2, carried: 2, reset: 0 };

  test('handed-over connections pass if they carry packets, and are in doubt if each was reset', async () => {
    const [fine] = await lookAt('connections', { connections: seen(all) });
    assert.match(fine ?? '', /^pass: of 2 TCP connections 2 are established at b/);
    const reset = seen({ count: 2, established: 0, carried: 0, reset: 2 });
    const [gone] = await lookAt('connections', { connections: reset });
    assert.match(gone ?? '', /^warn: each of the 2 TCP connections was reset/);
  });

  test('handed-over connections are unchecked if there are none, or the host does not manage them', async () => {
    const none = seen({ ...all, count: 0 });
    const [empty] = await lookAt('connections', { connections: none });
    assert.match(empty ?? '', /^not tried: .*no established TCP connection/);
    const network = { connections: 'leave' };
    const [left] = await lookAt('connections', { network, connections: seen(all) });
    assert.match(left ?? '', /^not tried: .*left to themselves/);
  });
});

describe("the destination's devices", () => {
  const session = (lacks: string) => ({
    plug: async (name: string) => {
      if (name !== lacks) return;
      const facts = { guest: 'web1', host: 'b', device: name, reason: 'its group is busy' };
      throw godwitError('GODWIT_DEVICE_NOT_OFFERED', facts, { hint: 'Plug it in later.' });
    },
  });
  const plug = ['gpu0', 'dongle0'];

  test("the destination's devices are plugged in, and a failure is a warning with a remedy", async () => {
    const [fine] = await lookAt('plugged', { session: session('none'), plug });
    assert.equal(fine, 'pass: gpu0, dongle0 of b plugged in');
    const { checks } = await answerOf({ session: session('dongle0'), plug });
    const [found] = checks.filter(({ name }) => name === 'plugged');
    assert.equal(found?.verdict, 'warn');
    assert.match(found.evidence, /device dongle0 of b: its group is busy/);
    assert.equal(found.hint, 'Plug it in later.');
  });

  test("the destination's devices are plugged in after the machine was read, and absent if unrequested", async () => {
    const order: string[] = [];
    const ordered = {
      machine: async () => void order.push('machine'),
      plug: async (name: string) => void order.push(name),
    };
    await answerOf({ session: ordered, plug });
    assert.deepEqual(order, ['machine', ...plug]);
    assert.deepEqual(await lookAt('plugged', { session: ordered }), []);
  });
});

test('a machine that cannot be read is omitted, and delays nothing else', async () => {
  const machine = { context: [] };
  assert.deepEqual(
    (await answerOf({ session: { machine: async () => machine } })).machine,
    machine,
  );
  const broken = { machine: async () => Promise.reject(new Error('no answer')) };
  const answer = await answerOf({ session: broken });
  assert.equal('machine' in answer, false);
  assert.equal(answer.checks.length, 3);
});
