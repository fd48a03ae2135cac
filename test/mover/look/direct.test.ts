import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAgentConfig } from '../../../src/config.ts';
import { GodwitError, godwitError, toGodwitError } from '../../../src/errors.ts';
import { hostFactsOf } from '../../../src/host/machine/host-facts.ts';
import {
  initialSource,
  type StepFacts,
} from '../../../src/migration/direct/source/source-state.ts';
import { pass, refusal } from '../../../src/migration/preflight/check.ts';
import { LIFECYCLE } from '../../../src/mover/direct/source/lifecycle.ts';
import type { StepContext } from '../../../src/mover/direct/source/ports.ts';
import { RefusedByChecks } from '../../../src/mover/engine/refused-by-checks.ts';
import { examine, type Examining } from '../../../src/mover/look/direct.ts';
import {
  migrationRequest,
  migrationSettings,
  type Check,
} from '../../../src/protocol/public/migration.ts';
import { WIRE_VERSION } from '../../../src/protocol/wire.ts';
import { descriptionOf, withDisk } from '../../migration/direct/samples.ts';

const signal = AbortSignal.timeout(120_000);
const text = JSON.stringify({ name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere' });
const config = parseAgentConfig('agent.json', text);
const clock = { wallMs: () => 1e12, monotonicMs: () => 0, sleep: async () => {} };
const id = 'c-0000000000000001';
const handle = { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '' };
const path = {};

const failure = fc
  .constantFrom('GODWIT_HYPERVISOR', 'GODWIT_MONITOR_UNREACHABLE', 'GODWIT_DEADLINE')
  .map(
    (code) => new GodwitError({ ...godwitError('GODWIT_INTERNAL', { what: code }).toJSON(), code }),
  );
/** A value, or once in a while an error in its place. */
const orFailure = <T>(value: fc.Arbitrary<T>, weight = 9) =>
  fc.oneof({ weight, arbitrary: value }, { weight: 1, arbitrary: failure });
const checksNamed = (...names: readonly Parameters<typeof pass>[0][]) =>
  fc.array(
    fc
      .record({ name: fc.constantFrom(...names), error: orFailure(fc.constant(undefined), 3) })
      .map(({ name, error }) => (error === undefined ? pass(name, 'so') : refusal(name, error))),
    { maxLength: 2 },
  );

const scene = fc.record({
  settings: fc.record({
    mode: fc.constantFrom('precopy', 'hybrid', 'cold'),
    path: fc.constantFrom('native', 'native', 'wire'),
    onLost: fc.constantFrom('hold', 'restart'),
    balloon: fc.constantFrom(undefined, undefined, undefined, 'free'),
  }),
  /** As its host listed the guest; it has 2. */
  vcpus: fc.constantFrom(undefined, 2, 2, 2, 3),
  admission: orFailure(fc.record({ isOffered: fc.boolean(), isReported: fc.boolean() })),
  inspection: orFailure(
    fc.record({
      checks: checksNamed('blocked', 'devices', 'state'),
      description: fc.constantFrom(descriptionOf(), descriptionOf(), withDisk()),
      nics: fc.constantFrom(undefined, []),
      deviceStates: fc.constantFrom([], [{ device: 'gpu0', bytes: 1 << 20 }]),
    }),
  ),
  ports: orFailure(fc.constant(['tap0']), 3),
  launch: orFailure(fc.constantFrom(undefined, { argv: ['qemu'] })),
  waitsForRetire: fc.constantFrom(false, false, true),
  assessment: orFailure(
    fc.record({ checks: checksNamed('disks', 'machine', 'ports'), plugs: fc.constant([]) }),
  ),
});
type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never;

async function give<T>(value: T | GodwitError): Promise<T> {
  if (value instanceof GodwitError) throw value;
  return value;
}

/** The guest and its destination, as a mover and an agent have them alike. */
function parts({ settings, vcpus, admission, inspection, ...session }: Scene) {
  const { launch } = session;
  const opened = {
    handle,
    ports: () => give(session.ports),
    whyNot: async () => undefined,
    waitsForRetire: session.waitsForRetire,
    ...(launch !== undefined && { launch: () => give(launch) }),
  };
  const guest = {
    inspect: () => give(inspection),
    session: async () => opened,
    neededBytes: async (listed: number) => listed,
    mayReachUs: true,
    capabilities: {},
  };
  const request = migrationRequest.parse({ guest: 'web1', to: 'b', ...settings });
  const admit = async () => {
    const { isOffered, isReported } = await give(admission);
    const host = { ...(await hostFactsOf(config, clock)()), name: 'b' };
    return {
      ...(isOffered && { wire: { version: WIRE_VERSION, cores: 2, knowsGuest: false } }),
      ...(isReported && { host }),
    };
  };
  return { guest, request, admit, seen: { ...(vcpus !== undefined && { vcpus }) } };
}

/** What the first steps of a migration come to: all their checks, and the error with which it ends. */
async function migrated(given: Scene) {
  const { guest, request, seen, admit } = parts(given);
  let { state } = initialSource({
    type: 'planned',
    id,
    guest: 'web1',
    from: 'a',
    to: 'b',
    epoch: 1,
    settings: migrationSettings.parse(request),
    bootId: '',
  });
  const moverAddress = '10.0.0.2:50001';
  const times = { askedMs: clock.wallMs(), answeredMs: clock.wallMs() };
  const api = { assess: () => give(given.assessment) };
  const context: unknown = {
    request: { id, request, handle, memoryBytes: 1 << 30, ...seen },
    state: () => state,
    host: { config, facts: hostFactsOf(config, clock) },
    hypervisor: { ...guest, forecast: { begin: () => {}, admitted: () => {} } },
    dataPath: { offered: true },
    network: { connections: { learn: async (_context: unknown, nics: unknown) => nics } },
    peer: {
      byRelay: false,
      addresses: [],
      admit: async () => ({ ...(await admit()), moverAddress, ...times, path }),
      resume: () => {},
      call: (_id: string, _signal: AbortSignal, question: (to: typeof api) => unknown) =>
        question(api),
    },
  };
  const checks: Check[] = [];
  for (const step of ['admit', 'inspect', 'assess'] as const) {
    try {
      const facts = await LIFECYCLE[step].do(context as StepContext, signal);
      checks.push(...(facts.checks ?? []));
      state = { ...state, known: { ...state.known, ...facts } };
    } catch (thrown) {
      const isByCheck = thrown instanceof RefusedByChecks;
      if (isByCheck) checks.push(...thrown.checks);
      return { checks, ended: isByCheck ? thrown.error : toGodwitError(thrown) };
    }
  }
  return { checks, known: state.known };
}

function examined(given: Scene, more: object = {}, keepStandby?: unknown) {
  const { guest, request, seen, admit } = parts(given);
  const agent = {
    keepStandby,
    preflight: async () => ({ checks: [], ...(await admit()) }),
    preflightAssess: () => give(given.assessment),
  };
  const peers = {
    preflight: () => agent,
    address: () => undefined,
    furtherAddresses: () => [],
    linkProbe: () => assert.fail('the path has no address'),
  };
  const asked = { config, clock, drivers: [], peers, id, request, handle, seen, guest };
  return examine({ ...asked, memoryBytes: 1 << 30, ...more } as unknown as Examining, signal);
}

/** What a check does not know, and what it does not keep. */
function without({ moverAddress: _mover, checks: _checks, ...known }: StepFacts): StepFacts {
  return known;
}

describe('a check and the first steps of a migration', () => {
  test('a check and the first steps of a migration make the same checks, with the same result and facts', async () => {
    const ends = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(scene, async (given) => {
        const { checks, ended, known } = await migrated(given);
        const found = await examined(given);
        const refusals = found.checks.filter(({ verdict }) => verdict === 'refuse');
        assert.deepEqual(refusals[0]?.error, ended?.toJSON());
        for (const each of checks) assert.ok(found.checks.some((one) => isSame(one, each)));
        if (known === undefined) {
          const end = refusals[0]?.name ?? '';
          ends.set(end, (ends.get(end) ?? 0) + 1);
          return;
        }
        assert.equal(found.isAnswered, true);
        assert.deepEqual(found.known, without(known));
        const answers = [pass('destination', 'b answers', 'both')];
        assert.deepEqual(found.checks, [...answers, ...checks]);
        ends.set('none', (ends.get('none') ?? 0) + 1);
      }),
      { numRuns: 200 },
    );
    // Each way to end was seen.
    const seen = ['destination', 'path', 'state', 'network', 'restart', 'disks', 'none'];
    for (const each of seen)
      assert.ok((ends.get(each) ?? 0) > 0, `${each} in ${[...ends.keys()].join(' ')}`);
  });
});

test('a destination keeps a standby of a guest that could not be started again at its source', async () => {
  const kept: unknown[] = [];
  const given: Scene = {
    settings: { mode: 'cold', path: 'native', onLost: 'hold', balloon: undefined },
    vcpus: 2,
    admission: { isOffered: false, isReported: true },
    inspection: { checks: [], description: descriptionOf(), nics: [], deviceStates: [] },
    ports: ['tap0'],
    launch: undefined,
    waitsForRetire: false,
    assessment: { checks: [], plugs: [] },
  };
  const keep = async (input: unknown): Promise<void> => void kept.push(input);
  const labels = { 'godwit/rank': '1' };
  const { checks } = await examined(given, { standby: true, labels, digest: 'd' }, keep);
  assert.deepEqual(
    checks.filter(({ verdict }) => verdict === 'refuse'),
    [],
  );
  const [one] = kept as { body: { admission: object; digest: string }; params: object }[];
  assert.deepEqual(one?.params, { guest: 'web1' });
  assert.equal(one.body.digest, 'd');
  const { settings: _settings, ...admission } = one.body.admission as Record<string, unknown>;
  const asked = { id, guest: 'web1', from: 'a', memoryBytes: 1 << 30, vcpus: 2, epoch: 1 };
  const timeoutMs = migrationRequest.parse({ guest: 'web1', to: 'b' }).timeoutMs;
  assert.deepEqual(admission, { ...asked, timeoutMs, driver: 'fake', routes: [], labels });
  const refused = await examined(given);
  assert.deepEqual(
    refused.checks.filter(({ verdict }) => verdict === 'refuse').map(({ name }) => name),
    ['restart'],
  );
});

const isSame = (one: Check, other: Check): boolean => JSON.stringify(one) === JSON.stringify(other);
