import assert from 'node:assert/strict';
import { test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { ManagedEvent } from '../../../src/migration/managed/events.ts';
import { initialManaged, managedTransition } from '../../../src/migration/managed/lifecycle.ts';
import type { ManagedState } from '../../../src/migration/managed/state.ts';
import type { GuestSnapshot } from '../../../src/migration/guest-changes/snapshot.ts';
import { assertUnchanged, GuestChangeLook } from '../../../src/mover/managed/guest-changes.ts';
import type { ManagedContext } from '../../../src/mover/managed/context.ts';
import { LIFECYCLE } from '../../../src/mover/managed/lifecycle.ts';
import { defined } from '../../../src/protocol/defined.ts';
import type { EndKind } from '../../../src/protocol/guest-end.ts';
import { planned } from '../../migration/managed/samples.ts';

const signal = new AbortController().signal;
const BEFORE: GuestSnapshot = { parts: [{ kind: 'disk', name: 'vda', value: 'raw:/d/a.raw' }] };
const AFTER: GuestSnapshot = { parts: [{ kind: 'disk', name: 'vda', value: 'qcow2:/d/over' }] };

function stage(now: GuestSnapshot | undefined | Error) {
  let state: ManagedState = initialManaged(planned()).state;
  const dispatch = (event: ManagedEvent): void => {
    state = managedTransition(state, event).state;
  };
  dispatch({ type: 'did', step: 'inspect', facts: { snapshot: BEFORE } });
  let nowMs = 0;
  const asked = { times: 0 };
  const context: unknown = {
    log: silentLog,
    clock: { monotonicMs: () => nowMs },
    state: () => state,
    dispatch,
    ask: async (question: (session: object, within: AbortSignal) => unknown) => {
      asked.times += 1;
      if (now instanceof Error) throw now;
      return question({ snapshot: async () => now }, signal);
    },
  };
  const later = (ms: number): void => void (nowMs += ms);
  return { context: context as ManagedContext, dispatch, later, asked, state: () => state };
}

function running(now: GuestSnapshot | undefined | Error) {
  const made = stage(now);
  made.dispatch({ type: 'did', step: 'check', facts: {} });
  made.dispatch({ type: 'ordered' });
  made.dispatch({ type: 'accepted' });
  return made;
}

test('a guest that was changed since its check is not ordered to move', async () => {
  await assertUnchanged(stage(BEFORE).context, signal);
  await assertUnchanged(stage(undefined).context, signal);
  await assert.rejects(assertUnchanged(stage(AFTER).context, signal), {
    code: 'GODWIT_GUEST_CHANGED',
    message: /the image of vda changed from raw \/d\/a.raw to qcow2 \/d\/over$/,
  });
});

test('a change during the task has its manager asked to end it, by name', async () => {
  const { context, later, asked, state } = running(AFTER);
  const look = new GuestChangeLook(context);
  await look.look('time', signal);
  assert.equal(asked.times, 0);
  later(5000);
  await look.look('time', signal);
  assert.equal(state().cancelling, true);
  assert.equal(state().because?.code, 'GODWIT_GUEST_CHANGED');
});

test('a change that was seen too late to end the task is in the report of the arrived guest', async () => {
  const { context, dispatch, later, state } = running(AFTER);
  const look = new GuestChangeLook(context);
  later(5000);
  await look.look('time', signal);
  dispatch({ type: 'saw', task: { state: 'done' } });
  dispatch({ type: 'found', where: { at: 'destination', busy: false } });
  dispatch({ type: 'did', step: 'finish', facts: {} });
  assert.equal(state().doing.kind === 'end' && state().because, undefined);
  const [left, ...more] = state().leftovers;
  assert.deepEqual([left?.code, more], ['GODWIT_GUEST_CHANGED', []]);
  assert.match(left?.message ?? '', /the image of vda changed/);
  assert.match(left?.hint ?? '', /make the change again at the destination/);
});

test('a task that failed because of a change of the guest ends with the name of the change', async () => {
  const { context, dispatch, state } = running(AFTER);
  await new GuestChangeLook(context).look('last', signal);
  dispatch({ type: 'saw', task: { state: 'failed', reason: 'disk target vdb not found' } });
  assert.equal(state().because?.code, 'GODWIT_GUEST_CHANGED');
  const same = running(BEFORE);
  await new GuestChangeLook(same.context).look('last', signal);
  same.dispatch({ type: 'saw', task: { state: 'failed', reason: 'no route to the host' } });
  assert.equal(same.state().because?.code, 'GODWIT_TASK_FAILED');
});

test('a manager that does not answer, or a task whose guest has switched, is left alone', async () => {
  const silent = running(new Error('it is busy'));
  const look = new GuestChangeLook(silent.context);
  silent.later(5000);
  await look.look('time', signal);
  assert.equal(silent.state().cancelling, false);
  const switched = running(AFTER);
  switched.dispatch({ type: 'saw', task: { state: 'running', postcopy: true } });
  const late = new GuestChangeLook(switched.context);
  switched.later(5000);
  await late.look('time', signal);
  assert.equal(switched.state().cancelling, false);
});

test('a guest is compared at once after a report of its manager, and not for each pass over its memory', async () => {
  const { context, later, asked, state } = running(BEFORE);
  const look = new GuestChangeLook(context);
  later(499);
  await look.look('news', signal);
  assert.equal(asked.times, 0);
  for (const isNews of [true, true, false, true]) {
    later(500);
    await look.look(isNews ? 'news' : 'time', signal);
  }
  assert.equal(asked.times, 3);
  assert.equal(state().cancelling, false);
});

const REFUSED = godwitError('GODWIT_HYPERVISOR', {
  hypervisor: 'libvirt',
  host: 'a',
  command: 'vol-info',
  reason: 'invalid path vdb not assigned to domain',
});

/** A manager that misses a disk as it is asked to do `what`. */
function missing(
  what: 'check' | 'copies' | 'prepare' | 'start',
  now: GuestSnapshot | Error,
  ended?: EndKind,
) {
  const made = stage(BEFORE);
  const recorded: ManagedEvent[] = [];
  const session = {
    check: async () => [],
    copies: async () => [],
    [what]: async () => {
      throw REFUSED;
    },
    where: async () => ({ at: 'source', busy: false, ...defined({ ended }) }),
    snapshot: async () => {
      // The guest is first compared before the order leaves.
      if (what === 'start' && !recorded.some(({ type }) => type === 'ordered')) return BEFORE;
      if (now instanceof Error) throw now;
      return now;
    },
  };
  const context: unknown = {
    ...made.context,
    order: { id: 'm-00000001' },
    leftMs: () => 60_000,
    ask: (question: (given: object, within: AbortSignal) => unknown) => question(session, signal),
    dispatch: (event: ManagedEvent) => void recorded.push(event),
    record: async (event: ManagedEvent) => {
      made.dispatch(event);
      recorded.push(event);
    },
  };
  return { context: context as ManagedContext, recorded, dispatch: made.dispatch };
}

for (const what of ['check', 'copies', 'prepare'] as const) {
  const step = what === 'copies' ? 'check' : what;
  test(`a disk that is unplugged during ${what} is reported as a change of the guest`, async () => {
    const changed = missing(what, { parts: [] });
    await assert.rejects(LIFECYCLE[step].do(changed.context, signal), {
      code: 'GODWIT_GUEST_CHANGED',
      message: /vda/,
    });
    const words = { code: 'GODWIT_HYPERVISOR', message: /vdb not assigned/ };
    for (const now of [BEFORE, new Error('it is busy')])
      await assert.rejects(LIFECYCLE[step].do(missing(what, now).context, signal), words);
  });
}

test('an order that is refused because of a change of the guest ends with the name of the change', async () => {
  const refused = async (now: GuestSnapshot, ended?: EndKind): Promise<string | undefined> => {
    const { context, recorded, dispatch } = missing('start', now, ended);
    dispatch({ type: 'did', step: 'check', facts: {} });
    await LIFECYCLE.start.do(context, signal);
    const last = recorded.at(-1);
    return last?.type === 'refused' ? last.error.code : last?.type;
  };
  assert.equal(await refused({ parts: [] }), 'GODWIT_GUEST_CHANGED');
  assert.equal(await refused(BEFORE), 'GODWIT_HYPERVISOR');
  assert.equal(await refused(BEFORE, 'shut-down'), 'GODWIT_GUEST_ENDED');
});
