import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announceForLong, announceNow, endAnnouncing } from '../../../src/drivers/qemu/announce.ts';

const signal = new AbortController().signal;
interface Announcement {
  readonly id?: string;
  readonly max: number;
  readonly rounds: number;
}

async function asked(
  order: (client: Parameters<typeof announceNow>[0], signal: AbortSignal) => Promise<void>,
): Promise<Announcement> {
  const calls: Announcement[] = [];
  const execute = async (command: string, args: object): Promise<unknown> => {
    assert.equal(command, 'announce-self');
    calls.push(args as Announcement);
    return {};
  };
  await order({ execute }, signal);
  assert.equal(calls.length, 1);
  return calls[0] ?? assert.fail();
}

test('the long announcement is bounded, leaves the first one alone, and ends by its name', async () => {
  const [now, long, end] = [
    await asked(announceNow),
    await asked(announceForLong),
    await asked(endAnnouncing),
  ];
  assert.notEqual(long.id, now.id);
  assert.equal(long.rounds * long.max, 600_000);
  assert.deepEqual([end.id, end.rounds], [long.id, 0]);
});
