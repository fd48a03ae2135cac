import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../src/errors.ts';
import { identityOfCaller, joinerAt, networkOf, type Identity } from '../../src/rpc/identity.ts';
import { DEFAULT_LIMITS, type ShareLimit } from '../../src/rpc/limits.ts';
import { Shares, type Hold } from '../../src/rpc/shares.ts';
import { sharesOf } from './test-contract.ts';

const bound = (each: number, all: number): ShareLimit => ({ each, all });
const SMALL = {
  requests: bound(2, 3),
  waiting: bound(2, 4),
  streams: bound(1, 2),
  bodyBytes: bound(10, 15),
};
const who = (at: number): Identity => ({ circle: 'agent', key: `${at}`, label: `host ${at}` });
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type State = 'waiting' | 'running' | 'refused' | 'over';

/** One request or stream, as the test itself keeps account of it. */
interface Entry {
  readonly at: number;
  readonly kind: 'request' | 'stream';
  readonly leave: AbortController;
  state: State;
  hold?: Hold;
  bytes: number;
}

/** Plays asked things against the shares and counts by itself what is under way. */
class Play {
  readonly shares = new Shares({ shares: sharesOf('agent', SMALL), waitMs: 60_000 });
  readonly entries: Entry[] = [];
  /** Who began from the queue, in order. */
  readonly begun: number[] = [];

  count(kind: Entry['kind'], state: State, at?: number): number {
    return this.entries.filter(
      (each) => each.kind === kind && each.state === state && (at === undefined || each.at === at),
    ).length;
  }

  bytes(at?: number): number {
    return this.entries
      .filter((each) => each.state === 'running' && (at === undefined || each.at === at))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async ask(at: number): Promise<void> {
    const leave = new AbortController();
    const entry: Entry = { at, kind: 'request', leave, state: 'waiting', bytes: 0 };
    const [own, all] = [this.count('request', 'waiting', at), this.count('request', 'waiting')];
    const mayWait = own < SMALL.waiting.each && all < SMALL.waiting.all;
    this.entries.push(entry);
    let isQueued = false;
    this.shares.request(who(at), leave.signal).then(
      (hold) => {
        entry.hold = hold;
        entry.state = 'running';
        if (isQueued) this.begun.push(at);
      },
      (thrown: unknown) => {
        entry.state = leave.signal.aborted ? 'over' : 'refused';
        if (entry.state === 'refused') assert.ok(hasCode(thrown, 'GODWIT_OVERLOADED'));
      },
    );
    await settled();
    isQueued = true;
    assert.ok(entry.state !== 'refused' || !mayWait, `host ${at} may wait and was refused`);
  }

  stream(at: number): void {
    const entry = { at, kind: 'stream', leave: new AbortController(), bytes: 0 } as const;
    const [own, all] = [this.count('stream', 'running', at), this.count('stream', 'running')];
    const fits = own < SMALL.streams.each && all < SMALL.streams.all;
    try {
      this.entries.push({ ...entry, state: 'running', hold: this.shares.stream(who(at)) });
      assert.ok(fits, 'a stream beyond the share began');
    } catch (thrown) {
      assert.ok(hasCode(thrown, 'GODWIT_OVERLOADED') && !fits, String(thrown));
    }
  }

  take(pick: number, bytes: number): void {
    const running = this.entries.filter(({ state }) => state === 'running');
    const entry = running[pick % Math.max(1, running.length)];
    if (entry?.hold === undefined) return;
    const fits =
      this.bytes(entry.at) + bytes <= SMALL.bodyBytes.each &&
      this.bytes() + bytes <= SMALL.bodyBytes.all;
    try {
      entry.hold.take(bytes);
      entry.bytes += bytes;
      assert.ok(fits, 'bytes beyond the share were taken');
    } catch (thrown) {
      assert.ok(hasCode(thrown, 'GODWIT_OVERLOADED') && !fits, String(thrown));
    }
  }

  async end(pick: number): Promise<void> {
    const open = this.entries.filter(({ state }) => state === 'running' || state === 'waiting');
    const entry = open[pick % Math.max(1, open.length)];
    if (entry === undefined) return;
    if (entry.state === 'waiting') entry.leave.abort();
    entry.state = 'over';
    entry.hold?.release();
    entry.hold?.release();
    await settled();
  }

  /** What must hold between any two steps. */
  check(): void {
    const hosts = [...new Set(this.entries.map(({ at }) => at))];
    const running = this.count('request', 'running');
    assert.ok(running <= SMALL.requests.all);
    assert.ok(this.count('request', 'waiting') <= SMALL.waiting.all);
    for (const at of hosts) {
      const own = this.count('request', 'running', at);
      const waiting = this.count('request', 'waiting', at);
      assert.ok(own <= SMALL.requests.each && waiting <= SMALL.waiting.each);
      // Nobody waits where there is room, whatever the others do.
      if (waiting > 0) {
        assert.ok(own === SMALL.requests.each || running === SMALL.requests.all, `${at} waits`);
      }
    }
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('ask' as const), at: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stream' as const), at: fc.nat(3) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('take' as const),
        pick: fc.nat(20),
        bytes: fc.integer({ min: 1, max: 8 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat(20) }) },
  ),
  { maxLength: 60 },
);

test('no identity gets more than its share, and none waits if there is room, whatever is requested', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const play = new Play();
      for (const step of list) {
        if (step.do === 'ask') await play.ask(step.at);
        else if (step.do === 'stream') play.stream(step.at);
        else if (step.do === 'take') play.take(step.pick, step.bytes);
        else await play.end(step.pick);
        play.check();
      }
      while (play.entries.some(({ state }) => state === 'running' || state === 'waiting')) {
        await play.end(0);
        play.check();
      }
      assert.equal(play.shares.size, 0, 'nobody is remembered when nothing is under way');
    }),
    { numRuns: 200 },
  );
});

test('waiting identities take turns, however many requests one of them has waiting', async () => {
  const play = new Play();
  // Hosts 0 and 1 fill the circle; 0 waits with two requests before 2 and 3 come with one each.
  for (const at of [0, 0, 1, 0, 0, 2, 3]) await play.ask(at);
  assert.equal(play.count('request', 'running'), 3);
  for (let count = 0; count < 4; count += 1) await play.end(0);
  assert.deepEqual(
    new Set(play.begun.slice(0, 3)),
    new Set([0, 2, 3]),
    `began in the order ${play.begun.join(' ')}`,
  );
});

test('a request that waited for too long is refused by name, and uses no turn', async () => {
  const limits = { shares: sharesOf('agent', SMALL), waitMs: 5 };
  const shares = new Shares(limits);
  const { signal } = new AbortController();
  const holds = [await shares.request(who(0), signal), await shares.request(who(0), signal)];
  await assert.rejects(shares.request(who(0), signal), {
    code: 'GODWIT_OVERLOADED',
    message: 'host 0, in requests at once, is at its limit of 2',
    retryable: true,
    hint: /docs\/limits\.md/,
  });
  for (const hold of holds) hold.release();
  assert.equal(shares.size, 0);
});

test('one identity with a full share leaves room for others at every level', () => {
  for (const [circle, share] of Object.entries(DEFAULT_LIMITS.shares)) {
    for (const [what, { each, all }] of Object.entries(share).filter(([key]) => key !== 'bodyMs')) {
      const enough = circle === 'local' ? all >= each : all === 0 || all >= 2 * each;
      assert.ok(enough, `${circle}: ${what}, ${each} each of ${all}`);
    }
  }
});

test("an identity is the name of a certificate, the users of this host, or a stranger's network", () => {
  const viewer = { role: 'viewer', name: 'ann' } as const;
  const operator = { role: 'operator', name: 'ann' } as const;
  const key = (...given: Parameters<typeof identityOfCaller>) => identityOfCaller(...given).key;
  assert.equal(key(viewer, '10.0.0.1'), key(viewer, '10.0.0.2'));
  assert.notEqual(key(viewer, '10.0.0.1'), key(operator, '10.0.0.1'));
  assert.equal(key({ role: 'local', name: 'a local process' }, undefined), 'local');
  assert.notEqual(joinerAt('10.0.0.1').key, joinerAt('10.0.0.2').key);
  assert.equal(networkOf('::ffff:10.0.0.1'), '10.0.0.1');
  assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(networkOf('2001:db8::1'), networkOf('2001:DB8:0:0:ffff::2'));
  assert.notEqual(networkOf('2001:db8:0:1::1'), networkOf('2001:db8::1'));
});

test('the network of any IPv6 address is its first four groups, however it is written', () => {
  const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (list) => {
      const hex = list.map((group) => group.toString(16));
      const plain = hex.join(':');
      const short = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
      const wanted = `${hex.slice(0, 4).join(':')}::/64`;
      assert.equal(networkOf(plain), wanted);
      assert.equal(networkOf(short), wanted);
    }),
  );
});
