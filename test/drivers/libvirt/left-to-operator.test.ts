import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { endAtDestination } from '../../../src/drivers/libvirt/images/left-behind.ts';
import { LibvirtSession } from '../../../src/drivers/libvirt/session.ts';
import { toGodwitError } from '../../../src/errors.ts';
import type { ManagedOrder } from '../../../src/migration/managed/task-sight.ts';
import { ORDER } from './support/order.ts';
import {
  ARRIVED,
  daemonPair,
  host,
  OFF,
  PAUSED,
  RUNS,
  UUID,
  type Daemon,
} from './support/two-daemons.ts';

const signal = AbortSignal.timeout(60_000);
const VOUCHED: ManagedOrder = { ...ORDER, vouched: 'destination' };
const AT_SOURCE: ManagedOrder = { ...ORDER, vouched: 'source' };

describe("leftovers after an operator's decision", () => {
  test('a copy or a definition at the source loses its autostart and is named', async (t) => {
    const finished = async (
      source: Omit<Daemon, 'did'>,
      there?: Omit<Daemon, 'did'>,
      order = VOUCHED,
    ) => {
      const did: string[] = [];
      const at = await host(t, { ...source, did }, there && { ...there, did });
      const session = await LibvirtSession.open(at, UUID, signal);
      t.after(() => session.close());
      const left = await session.finish(order, signal).catch(toGodwitError);
      return { did, message: left?.message ?? '', isRetryable: left?.retryable };
    };
    const byWord =
      /paused copy of web1 there, with its definition, is left to you, since the operator reported that it runs at b; its autostart is off$/;
    for (const there of [undefined, { state: OFF, mark: {} }, { state: ARRIVED }]) {
      const copy = await finished({ state: PAUSED, mark: {}, autostart: 'on' }, there);
      assert.deepEqual(copy.did, ['autostart off']);
      assert.match(copy.message, byWord);
      assert.equal(copy.isRetryable, true);
    }
    const definition = await finished({ state: OFF, autostart: 'on' });
    assert.deepEqual(definition.did, ['autostart off']);
    assert.match(
      definition.message,
      /a definition of web1 there is left to you, since the operator/,
    );
    // One that runs is not the operator's to lose by a wrong word; without a word both daemons decide.
    assert.deepEqual((await finished({ state: RUNS, mark: {}, autostart: 'on' })).did, []);
    assert.deepEqual((await finished({ state: OFF, autostart: 'on' }, undefined, ORDER)).did, []);
  });

  test('a copy at the destination loses its autostart and is named', async (t) => {
    const did: string[] = [];
    const stays = async (
      source: Omit<Daemon, 'did'>,
      there: Omit<Daemon, 'did'>,
      order = AT_SOURCE,
    ) => {
      did.length = 0;
      const both = await daemonPair(t, { ...source, did: [] }, { ...there, did });
      return endAtDestination(both, order, signal).catch(
        (thrown: unknown) => toGodwitError(thrown).message,
      );
    };
    const waits = { state: PAUSED, mark: {}, autostart: 'on' } as const;
    for (const source of [{}, { state: PAUSED, mark: {} }]) {
      const message = (await stays(source, waits)) ?? '';
      assert.match(
        message,
        /a paused copy of web1 there, .* the operator reported that it runs at a; its autostart is off$/,
      );
      assert.deepEqual(did, ['autostart off']);
    }
    assert.equal(await stays({}, waits, ORDER), undefined);
    await stays({}, { ...waits, state: RUNS });
    assert.deepEqual(did, []);
    assert.equal(await stays({ state: RUNS, mark: { defined: 'yes' } }, waits), undefined);
    assert.deepEqual(did, []);
  });
});
