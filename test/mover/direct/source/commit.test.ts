import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../../src/errors.ts';
import type { BootTime } from '../../../../src/migration/boot-time.ts';
import type { HostAnswer } from '../../../../src/migration/permission/host-answer.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import { LIFECYCLE } from '../../../../src/mover/direct/source/lifecycle.ts';
import type { StepContext } from '../../../../src/mover/direct/source/ports.ts';
import { planned } from '../../../migration/direct/samples.ts';
import { fleetOf } from '../fleets.ts';

const { signal } = new AbortController();
const GONE = godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'web1', reason: 'x' });
const DARK = godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'b:1', reason: 'dark' });

describe('a commit to a dark destination', () => {
  function committing(mode: 'cold' | 'precopy', third: HostAnswer) {
    const fleet = fleetOf({ b: { is: 'silent', why: 'dark' }, c: third });
    const context: unknown = {
      request: { id: 'm-00000001', createdAt: '2026-01-01', request: { guest: 'web1' } },
      state: () => initialSource(planned({ mode })).state,
      hypervisor: {
        session: async () => {
          throw GONE;
        },
      },
      disks: { copies: { closedThere: async () => {} } },
      peer: {
        resume: () => {},
        call: async () => {
          throw DARK;
        },
      },
      host: { fence: async () => undefined, fenceMs: 0, fleet },
    };
    return { fleet, committed: LIFECYCLE.commit.do(context as StepContext, signal) };
  }

  test('a commit to a dark destination ends a cold move if a third host has the guest', async () => {
    const { fleet, committed } = committing('cold', { is: 'has', why: 'has it (running)' });
    await assert.rejects(committed, { code: 'GODWIT_RUNS_ELSEWHERE' });
    assert.deepEqual(fleet.asked, ['c']);
  });

  test('a commit to a dark destination is unanswered without a third host, or with memory at the source', async () => {
    const without = committing('cold', { is: 'without' });
    await assert.rejects(without.committed, { code: 'GODWIT_UNREACHABLE' });
    const memory = committing('precopy', { is: 'has', why: 'has it (running)' });
    await assert.rejects(memory.committed, { code: 'GODWIT_UNREACHABLE' });
    assert.deepEqual(memory.fleet.asked, []);
  });
});

describe('a commit', () => {
  const HELD = godwitError('GODWIT_HELD', { guest: 'web1', reason: 'c has it' });
  const word = (host: string) => ({ host, doubts: ['no answer'] });
  const at = { bootId: 'boot-2', uptimeMs: 50_000 };

  /** What the source sends. */
  async function sent(state: Partial<SourceState>, now: BootTime): Promise<unknown> {
    const bodies: unknown[] = [];
    const api = {
      commit: async ({ body }: { body: unknown }) => {
        bodies.push(body);
        throw HELD;
      },
    };
    const plan = { ...planned(), bootId: 'boot-2' };
    const context: unknown = {
      state: () => ({ ...initialSource(plan).state, ...state }),
      disks: { copies: { closedThere: async () => {} } },
      request: { id: 'm-00000001', request: { guest: 'web1' } },
      peer: {
        resume: () => {},
        call: (_id: string, _signal: AbortSignal, ask: (all: unknown) => unknown) => ask(api),
      },
      host: { bootTime: () => now, fenceMs: 0 },
    };
    await assert.rejects(LIFECYCLE.commit.do(context as StepContext, signal), HELD);
    return bodies[0];
  }

  test('a commit of a source that stayed up has the destination ask no other host', async () => {
    assert.deepEqual(await sent({}, at), { epoch: planned().epoch });
  });

  test('a commit after a reboot of the source has the destination ask every host', async () => {
    const askFleet = { answersFor: [] };
    const now = { ...at, bootId: 'boot-3' };
    assert.deepEqual(await sent({}, now), { epoch: planned().epoch, askFleet });
  });

  test("a commit by an operator's order has every host asked, and carries the operator's valid word", async () => {
    const answersFor = [word('c')];
    const decision = { proof: 'none', answersFor, at } as const;
    const epoch = planned().epoch;
    const later = (ms: number): BootTime => ({ ...at, uptimeMs: at.uptimeMs + ms });
    assert.deepEqual(await sent({ decision }, later(60_000)), { epoch, askFleet: { answersFor } });
    const old = { epoch, askFleet: { answersFor: [] } };
    assert.deepEqual(await sent({ decision }, later(60_001)), old);
    assert.deepEqual(await sent({ decision }, { ...at, bootId: 'boot-3' }), old);
  });
});
