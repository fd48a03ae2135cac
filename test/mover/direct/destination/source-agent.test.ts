import assert from 'node:assert/strict';
import { test } from 'node:test';
import { godwitError } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import { othersOf } from '../../../../src/mover/direct/destination/source-agent.ts';
import type { Surroundings } from '../../../../src/mover/shared/surroundings.ts';
import type { DestinationMoverRequest } from '../../../../src/protocol/mover/request.ts';

const never = new AbortController().signal;
const VIEW = { phase: 'failed', epoch: 5 };
const silent = godwitError('GODWIT_UNREACHABLE', { peer: 'a', address: 'x', reason: 'silent' });

/** Asks a source with two addresses; `answers`: what its agent does at each, `dead`: addresses without a path. */
async function asked(answers: Readonly<Record<string, object>>, dead: readonly string[] = []) {
  const order: string[] = [];
  const connect = (_contract: unknown, name: string, address: string) => ({
    api: {
      side: async () => {
        order.push(`${name} at ${address}`);
        const answer = answers[address];
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    close: () => void order.push(`close ${address}`),
  });
  const reach = async (address: string) => !dead.includes(address);
  const surroundings: unknown = { connect, log: silentLog, reach };
  const peer = { address: 'one', addresses: ['two'] };
  const request: unknown = { id: 'm-00000001', fromHost: 'a', peer };
  const others = othersOf(request as DestinationMoverRequest, surroundings as Surroundings);
  return { order, addresses: others.addresses, answer: await others.askSource?.(never) };
}

test("the source's agent is asked over its first address, and over no other once it has answered", async () => {
  const { order, answer, addresses } = await asked({ one: VIEW, two: VIEW });
  assert.deepEqual(answer, { isDark: false, view: VIEW });
  assert.deepEqual(order, ['a at one', 'close one']);
  assert.deepEqual(addresses, ['one', 'two']);
});

test('an address that does not answer is skipped for the next one, and its connection is closed', async () => {
  const { order, answer } = await asked({ one: silent, two: VIEW });
  assert.deepEqual(answer, { isDark: false, view: VIEW });
  assert.deepEqual(order, ['a at one', 'close one', 'a at two', 'close two']);
});

test('an address without a path is not called', async () => {
  const { order } = await asked({ one: VIEW, two: VIEW }, ['one']);
  assert.deepEqual(order, ['a at two', 'close two']);
});

test('a source that answers at no address is dark', async () => {
  assert.deepEqual((await asked({ one: silent, two: silent })).answer, { isDark: true });
  assert.deepEqual((await asked({}, ['one', 'two'])).answer, { isDark: true });
});

test('an agent that answers but cannot tell is not dark, and is not asked over another address', async () => {
  const forgotten = godwitError('GODWIT_MIGRATION_UNKNOWN', { id: 'm-00000001', host: 'a' });
  const { order, answer } = await asked({ one: forgotten, two: VIEW });
  assert.deepEqual(answer, { isDark: false });
  assert.deepEqual(order, ['a at one', 'close one']);
});
