import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ManagedDriver, ManagedSession } from '../../../src/port/managed.ts';
import { systemClock } from '../../../src/clock.ts';
import { GodwitError, godwitError, toGodwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { pass, refusal } from '../../../src/migration/preflight/check.ts';
import { askManager } from '../../../src/mover/look/managed.ts';
import { RefusedByChecks } from '../../../src/mover/engine/refused-by-checks.ts';
import type { ManagedContext } from '../../../src/mover/managed/context.ts';
import { proverThrough } from '../../../src/mover/managed/device-prover.ts';
import { LIFECYCLE } from '../../../src/mover/managed/lifecycle.ts';
import { orderOf } from '../../../src/migration/managed/events.ts';
import {
  migrationRequest,
  migrationSettings,
  type Check,
} from '../../../src/protocol/public/migration.ts';
import { managedHandle } from '../../../sim/fake/managed-handle.ts';
import { PLANNED } from './samples.ts';

const signal = AbortSignal.timeout(120_000);
const id = 'c-0000000000000001';
const DEVICE = { name: 'vda', file: '/dev/none', isWritten: true };
const DISK = { name: 'vda', file: '/i/x', format: 'raw', sizeBytes: 1, place: 'd' };

const failure = fc
  .constantFrom('GODWIT_HYPERVISOR', 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')
  .map(
    (code) => new GodwitError({ ...godwitError('GODWIT_INTERNAL', { what: code }).toJSON(), code }),
  );
const orFailure = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: failure });
const checks = fc.array(
  fc
    .record({ name: fc.constantFrom('state', 'disks'), error: fc.option(failure, { freq: 3 }) })
    .map(({ name, error }): Check => {
      const named = name === 'state' ? 'state' : 'disks';
      return error === null ? pass(named, 'so') : refusal(named, error);
    }),
  { maxLength: 2 },
);
const scene = fc.record({
  path: fc.constantFrom('native', 'wire'),
  inspection: orFailure(
    fc.record({ checks, memoryBytes: fc.constant(4096), devices: fc.constantFrom([], [DEVICE]) }),
  ),
  found: orFailure(checks),
  copies: orFailure(fc.constantFrom(undefined, [], [DISK])),
});

async function give<T>(value: T | GodwitError): Promise<T> {
  if (value instanceof GodwitError) throw value;
  return value;
}

describe('a check and the first steps of a managed migration', () => {
  test('a check of a managed guest and the first steps make the same checks, with the same end', async () => {
    const ends = new Set<string>();
    await fc.assert(
      fc.asyncProperty(scene, async ({ path, inspection, found, copies }) => {
        const request = migrationRequest.parse({ guest: 'web1', to: 'b', path });
        const settings = migrationSettings.parse(request);
        const order = orderOf({ id, guest: 'web1', from: 'a', to: 'b', settings });
        const session: unknown = {
          inspect: () => give(inspection),
          check: () => give(found),
          copies: () => give(copies),
          close: async () => {},
        };
        const driver: unknown = { name: 'fake', openManaged: async () => session };
        const nobody = (): never => assert.fail('no agent of another host is asked');
        const peers = { preflight: nobody, address: () => undefined, linkProbe: nobody };
        const parts = { here: 'a', withinMs: 100_000, peers, lookAtPath: nobody };
        const asked = { id, request, handle: managedHandle('web1'), seen: {} };
        const checked = await askManager(driver as ManagedDriver, asked, parts, signal);

        const context: unknown = {
          order,
          clock: systemClock,
          log: silentLog,
          state: () => PLANNED,
          ask: (question: (of: ManagedSession, inner: AbortSignal) => unknown) =>
            question(session as ManagedSession, signal),
          proveDevices: proverThrough({ here: 'a', as: 'mover', settings, askThere: undefined }),
          wire: path === 'wire' ? { check: async () => noSockets } : undefined,
        };
        const { seen, ended } = await migrated(context as ManagedContext);
        const byManager = checked.checks.filter(({ name }) => !OF_LINK.has(name));
        const refused = byManager.find(({ verdict }) => verdict === 'refuse');
        if (ended === undefined) {
          assert.equal(refused, undefined);
          assert.deepEqual(byManager, seen);
          const has = !(copies instanceof GodwitError) && (copies ?? []).length > 0;
          assert.equal(checked.copiesDisks, has);
        } else {
          assert.ok(refused !== undefined);
          // A manager that fails to answer leaves no other check.
          const isAlone = refused.name === 'destination';
          if (!isAlone) assert.deepEqual(refused.error, ended.toJSON());
          if (!isAlone) assert.deepEqual(byManager.slice(0, seen.length), seen);
        }
        ends.add(refused?.name ?? 'none');
      }),
      { numRuns: 300 },
    );
    assert.deepEqual([...ends].toSorted(), ['destination', 'disks', 'none', 'path', 'state']);
  });
});

const OF_LINK: ReadonlySet<string> = new Set(['link', 'round-trip', 'migration-network']);
const noSockets = refusal(
  'path',
  godwitError(
    'GODWIT_CAPABILITY',
    { what: '--path wire', reason: 'the manager of a sends memory by a path of its own' },
    { hint: 'Leave --path wire out, or make good what is named.' },
  ),
  'both',
);

/** The checks of the steps that build nothing, and the error with which they end. */
async function migrated(context: ManagedContext) {
  const seen: Check[] = [];
  for (const step of ['inspect', 'check'] as const) {
    try {
      const facts = await LIFECYCLE[step].do(context, signal);
      seen.push(...(facts?.checks ?? []));
    } catch (thrown) {
      if (!(thrown instanceof RefusedByChecks)) return { seen, ended: toGodwitError(thrown) };
      return { seen: [...seen, ...thrown.checks], ended: thrown.error };
    }
  }
  return { seen, ended: undefined };
}
