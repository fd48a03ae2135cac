import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DescribeQueues,
  type DueDescription,
} from '../../../src/agent/recovery/describe-queues.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Descriptions that end when the test says so. */
function scene() {
  const world = { now: 0 };
  const open = new Map<string, (isTaken: boolean) => void>();
  const begun: string[] = [];
  const queues = new DescribeQueues({
    clock: { monotonicMs: () => world.now },
    describe: ({ guest, to }) => {
      const key = `${guest} ${to}`;
      begun.push(key);
      const ended = Promise.withResolvers<boolean>();
      open.set(key, ended.resolve);
      return ended.promise;
    },
    isTaken: (guest) => [...open.keys()].some((key) => key.startsWith(`${guest} `)),
  });
  const replace = (...due: readonly string[]) => {
    const all = due.map((each): DueDescription => {
      const [guest = '', to = '', digest = 'one'] = each.split(' ');
      return { guest, to, digest };
    });
    queues.replace(all, new Set(all.map(({ guest, to }) => `${guest} ${to}`)));
  };
  const end = async (key: string, isTaken: boolean) => {
    const ended = open.get(key);
    open.delete(key);
    ended?.(isTaken);
    await turn();
  };
  return { world, queues, begun, replace, end };
}

test("a host that delays its descriptions does not delay another host's, and each host is sent one at a time", async () => {
  const { begun, replace, end } = scene();
  replace('web1 slow', 'web2 slow', 'web3 c', 'web4 c');
  assert.deepEqual(begun, ['web1 slow', 'web3 c']);
  await end('web3 c', true);
  assert.deepEqual(begun, ['web1 slow', 'web3 c', 'web4 c']);
  await end('web4 c', true);
  replace('web1 slow', 'web2 slow', 'web5 c');
  assert.deepEqual(begun.slice(3), ['web5 c']);
});

test('a guest is described to one host at a time, and its other host takes another guest meanwhile', async () => {
  const { begun, replace, end } = scene();
  replace('web1 b', 'web1 c', 'web2 c');
  assert.deepEqual(begun, ['web1 b', 'web2 c']);
  await end('web2 c', true);
  assert.deepEqual(begun, ['web1 b', 'web2 c']);
  await end('web1 b', true);
  assert.deepEqual(begun, ['web1 b', 'web2 c', 'web1 c']);
});

test('three hosts are sent descriptions at once, and the hosts take turns', async () => {
  const { begun, replace, end } = scene();
  replace('a1 a', 'a2 a', 'b1 b', 'c1 c', 'd1 d');
  assert.deepEqual(begun, ['a1 a', 'b1 b', 'c1 c']);
  await end('a1 a', true);
  assert.deepEqual(begun.slice(3), ['d1 d']);
  await end('b1 b', true);
  assert.deepEqual(begun.slice(4), ['a2 a']);
});

test('a host that delayed a description for a minute rests for ten minutes', async () => {
  const { world, begun, replace, end } = scene();
  replace('web1 slow', 'web2 slow');
  world.now = 60_000;
  await end('web1 slow', false);
  replace('web1 slow', 'web2 slow');
  world.now += 599_999;
  replace('web1 slow', 'web2 slow');
  assert.deepEqual(begun, ['web1 slow']);
  world.now += 1;
  replace('web1 slow', 'web2 slow');
  assert.deepEqual(begun, ['web1 slow', 'web1 slow']);
});

test('a refused description is tried again after a minute, or at once if the guest changed or was described meanwhile', async () => {
  const { world, begun, replace, end } = scene();
  replace('web1 b');
  await end('web1 b', false);
  world.now = 59_999;
  replace('web1 b');
  assert.equal(begun.length, 1);
  replace('web1 b two');
  assert.equal(begun.length, 2);
  await end('web1 b', true);
  replace('web1 b two');
  assert.equal(begun.length, 3);
  await end('web1 b', false);
  world.now += 60_000;
  replace('web1 b two');
  assert.equal(begun.length, 4);
});

test('a description on its way is not queued a second time, and one that is no longer due is dropped', async () => {
  const { world, begun, replace, end } = scene();
  replace('web1 b', 'web2 b');
  world.now = 60_000;
  replace('web1 b');
  await end('web1 b', true);
  assert.deepEqual(begun, ['web1 b']);
});

test('closing waits for descriptions on their way and begins no other', async () => {
  const { queues, begun, replace, end } = scene();
  replace('web1 b', 'web2 b');
  let isClosed = false;
  const closed = queues.close().then(() => (isClosed = true));
  await turn();
  assert.equal(isClosed, false);
  await end('web1 b', true);
  await closed;
  assert.deepEqual(begun, ['web1 b']);
});
