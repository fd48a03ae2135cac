import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HypervisorEvent } from '../../../src/port/direct.ts';
import { startPostcopy } from '../../../src/drivers/qemu/postcopy-switch.ts';

const LIMIT = 'migrate-set-parameters';
const { signal } = new AbortController();

function monitor(version: string, cont: boolean) {
  const said: string[] = [];
  const take = async (command: string): Promise<unknown> => said.push(command);
  const request = async (command: string) => {
    said.push(command);
    return cont
      ? ({ ok: true, value: {} } as const)
      : ({ ok: false, reason: 'Migration is not finalized yet' } as const);
  };
  return { said, client: { version, execute: take, request } as never };
}

const says = (type: HypervisorEvent['type']) => ({
  until: async (wanted: (event: HypervisorEvent) => boolean) => {
    const event = { type } as HypervisorEvent;
    return wanted(event) ? event : new Promise<never>(() => {});
  },
});

describe('the order to switch to post-copy', () => {
  test('the order stops the guest first if QEMU might run it again at the very end', async () => {
    const { said, client } = monitor('10.0.2', true);
    assert.equal(await startPostcopy(client, says('pre-switchover') as never, signal), true);
    assert.deepEqual(said, [LIMIT, 'stop', 'migrate-start-postcopy']);
  });

  test('the order is sent without a stop to a QEMU that would not run the guest again', async () => {
    const { said, client } = monitor('7.2.22', true);
    assert.equal(await startPostcopy(client, says('device') as never, signal), false);
    assert.deepEqual(said, [LIMIT, 'migrate-start-postcopy']);
  });

  test('the guest continues if QEMU does not come to the switch', async () => {
    const { said, client } = monitor('10.0.2', true);
    assert.equal(await startPostcopy(client, says('active') as never, signal), false);
    assert.deepEqual(said, [LIMIT, 'stop', 'migrate-start-postcopy', 'cont']);
  });

  test('the report of the stop comes before the stop, because the answer may never come', async () => {
    for (const [version, reported] of [
      ['10.0.2', [LIMIT]],
      ['7.2.22', []],
    ] as const) {
      const { said, client } = monitor(version, true);
      const before: string[] = [];
      const stopping = (): void => void before.push(...said);
      await startPostcopy(client, says('pre-switchover'), signal, stopping);
      assert.deepEqual(before, reported);
    }
  });

  test('the guest counts as stopped if the switch begins while it is resumed', async () => {
    const { client } = monitor('10.0.2', false);
    assert.equal(await startPostcopy(client, says('active') as never, signal), true);
  });
});
