import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceNic } from '../../../../src/network/attachment.ts';
import { initialSource, stepFacts } from '../../../../src/migration/direct/source/source-state.ts';
import {
  assessGuest,
  inspect,
  lookAsStep,
  type StepDependencies,
} from '../../../../src/mover/direct/source/examine.ts';
import type { LookDependencies } from '../../../../src/mover/direct/source/source-base.ts';
import { NOTHING, type StorageFound } from '../../../../src/mover/direct/source/disks/storage.ts';
import { RefusedByChecks } from '../../../../src/mover/engine/refused-by-checks.ts';
import { parseAgentConfig } from '../../../../src/config.ts';
import type { ImagePlace } from '../../../../src/protocol/disk.ts';
import type { Preparation } from '../../../../src/protocol/peer/migration.ts';
import type { Check, Mode } from '../../../../src/protocol/public/migration.ts';
import { BASE, COPY, descriptionOf, planned, withDisk } from '../../../migration/direct/samples.ts';

const LAUNCH = { argv: ['qemu'] };
const signal = AbortSignal.timeout(10_000);
const config = JSON.stringify({ name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere' });
const check = (name: string, verdict: Check['verdict'] = 'refuse'): Check => ({
  name,
  side: 'source',
  verdict,
  evidence: 'so',
  ...(verdict === 'pass' ? {} : { hint: 'x' }),
});

describe("the source host's report of a guest", () => {
  const found = [check('blocked'), check('dirty-tracking')];

  function inspected(mode: Mode, checks: Check[], nics?: SourceNic[]) {
    const asked: string[] = [];
    const deps: unknown = {
      config: parseAgentConfig('agent.json', config),
      state: () => initialSource(planned({ mode })).state,
      request: { request: { guest: 'web1' }, handle: { driver: 'fake', name: 'web1' } },
      guest: {
        inspect: async () => ({
          description: descriptionOf(),
          checks,
          ...(nics && { nics }),
        }),
        session: async () => {
          asked.push('session');
          return { ports: async () => ['tap0'], launch: async () => LAUNCH };
        },
      },
      connections: { learn: async () => [] },
    };
    return { looked: lookAsStep(inspect, deps as StepDependencies, signal), asked };
  }

  test('a cold move ignores reasons of the source host that concern only the transfer of memory', async () => {
    const cold = await inspected('cold', found).looked;
    assert.deepEqual(cold.facts.checks, []);
    assert.deepEqual(cold.facts.launch, LAUNCH);
    await assert.rejects(inspected('precopy', found).looked, (thrown) => {
      assert.ok(thrown instanceof RefusedByChecks);
      assert.deepEqual(thrown.checks, found);
      return true;
    });
  });

  test('a refusal by the source host ends the migration without further questions to the guest', async () => {
    const { looked, asked } = inspected('precopy', [check('state')]);
    await assert.rejects(looked, RefusedByChecks);
    assert.deepEqual(asked, []);
    const passed = await inspected('precopy', []).looked;
    assert.deepEqual(passed.facts, {
      description: descriptionOf(),
      ports: ['tap0'],
      checks: [],
    });
  });

  test('a guest has networks only if its driver supports NICs', async () => {
    const { facts } = await inspected('precopy', [], []).looked;
    assert.deepEqual(facts.networks, []);
  });
});

describe("the destination's report of a guest", () => {
  /** The destination makes copies where it is asked for them, `there`. */
  async function assessed(storage: StorageFound, there: readonly ImagePlace[]) {
    const bodies: Preparation[] = [];
    const context: unknown = {
      config: parseAgentConfig('agent.json', config),
      state: () => ({
        ...initialSource(planned()).state,
        known: { description: withDisk() },
      }),
      request: { id: 'm-00000001' },
      peer: {
        resume: () => {},
        call: (_id: string, _signal: unknown, question: (api: object) => unknown) =>
          question({
            assess: async ({ body }: { body: Preparation }) => {
              bodies.push(body);
              const copies = body.copies === undefined ? {} : { copies: there };
              return { checks: [check('cpu', 'pass')], ...copies };
            },
          }),
      },
    };
    return {
      answer: await assessGuest(context as LookDependencies, storage, signal),
      bodies,
    };
  }

  test('the destination reports on copies only if disks are copied, and its answer is kept for them', async () => {
    const lists = fc.record({
      copies: fc.boolean(),
      places: fc.boolean(),
      bases: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(lists, async (has) => {
        const copied = ['/images/disk0.raw'];
        const below = [['/images/base.raw']];
        const facts = {
          ...(has.places ? { places: [COPY] } : {}),
          ...(has.bases ? { bases: [BASE] } : {}),
        };
        const copy = has.copies ? { copies: [COPY], copied, below } : {};
        const storage = { ...NOTHING, ...facts, ...copy };
        const there = [{ ...COPY, path: 'web1/there.raw' }];
        const { answer, bodies } = await assessed(storage, there);
        const sent = bodies.map(({ copies, places, bases }) => ({ copies, places, bases }));
        const copies = has.copies ? [COPY] : undefined;
        assert.deepEqual(sent, [{ copies, places: facts.places, bases: facts.bases }]);
        const kept = has.copies ? { copies: there, copied, below } : {};
        assert.deepEqual(answer.facts, { ...facts, ...kept });
        assert.deepEqual(stepFacts.parse(answer.facts), answer.facts);
        assert.deepEqual(answer.checks, [check('cpu', 'pass')]);
      }),
    );
  });
});
