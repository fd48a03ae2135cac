import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  darkWatchIo,
  darkWatchMs,
  lookAtKernel,
  whyNotDark,
  type DarkWatchIo,
} from '../../src/host/watch-dark-host.ts';
import type { KernelWord } from '../../src/rpc/reach.ts';
import { fakeDarkWatchIo, OTHER, REFUSED, SILENCE } from './dark-watch-io.ts';

const never = new AbortController().signal;
const ONE = ['10.0.0.2:7400'];
const TWO = ['10.0.0.2:7400', '10.1.0.2:7400'];
const UNREACHABLE: KernelWord = { what: 'unreachable', said: 'EHOSTUNREACH' };
const LOCAL: KernelWord = { what: 'unknown', said: 'ENETUNREACH' };

describe('a watched host', () => {
  test('a watched host is dark after the whole time, over every path, with repeated questions', async () => {
    const io = fakeDarkWatchIo(() => SILENCE);
    assert.equal(await whyNotDark(TWO, [OTHER], 10_000, never, io), undefined);
    assert.ok(io.clock.monotonicMs() >= 10_000);
    for (const path of TWO) {
      assert.ok(io.questions.filter((each) => each.path === path).length >= 8);
    }
  });

  test('a watched host is alive with one answer over one path, however late', async () => {
    const io = fakeDarkWatchIo((path, nth) => (path === TWO[1] && nth === 7 ? REFUSED : SILENCE));
    const why = await whyNotDark(TWO, [OTHER], 10_000, never, io);
    assert.equal(why, 'it answers at 10.1.0.2:7400: it refuses connections');
  });

  test('a watched host is alive with one echo reply, however silent its ports; then the echo stops', async () => {
    const io = fakeDarkWatchIo(() => SILENCE);
    const echoes: string[] = [];
    let closed = 0;
    const openEcho: DarkWatchIo['openEcho'] = async (address, onAnswer) => {
      const ask = (): void => {
        echoes.push(address);
        if (answers(address) && echoes.length > 9) onAnswer();
      };
      const close = async (): Promise<void> => void (closed += 1);
      return { probe: { kind: 'icmp', address, intervalMs: 10, ask, close } };
    };
    let answers = (address: string): boolean => address === '10.1.0.2';
    const paths = [...TWO, '10.1.0.2:49152'];
    const why = await whyNotDark(paths, [OTHER], 10_000, never, { ...io, openEcho });
    assert.match(why ?? '', /^it answers at 10\.1\.0\.2:\d+: it answers an ICMP echo$/);
    // One for each IP address.
    assert.equal(closed, 2);
    answers = () => false;
    assert.equal(await whyNotDark(paths, [OTHER], 10_000, never, { ...io, openEcho }), undefined);
    assert.equal(closed, 4);
  });

  test('a watched host is alive if its kernel replies to echoes, though all its ports are silent', async (t) => {
    const opened = await darkWatchIo.openEcho('127.0.0.1', () => undefined, never);
    if ('why' in opened) {
      t.skip(opened.why);
      return;
    }
    await opened.probe.close();
    const ask = async (_path: string, timeoutMs: number, signal: AbortSignal) => {
      await darkWatchIo.clock.sleep(timeoutMs, signal);
      return SILENCE;
    };
    const why = await whyNotDark(['127.0.0.1:7400'], ['127.0.0.2:7400'], 5000, never, {
      ...darkWatchIo,
      ask,
    });
    assert.equal(why, 'it answers at 127.0.0.1:7400: it answers an ICMP echo');
  });

  test('a watched host is not dark while this host has no route to it, or its link is down', async () => {
    const noRoute = await whyNotDark(
      ONE,
      [OTHER],
      5000,
      never,
      fakeDarkWatchIo(() => LOCAL),
    );
    assert.match(noRoute ?? '', /unknown at 10\.0\.0\.2:7400: ENETUNREACH/);
    const link = () => ({ isUp: false, why: 'this host’s own link mig0 is down' }) as const;
    const down = await whyNotDark(
      ONE,
      [OTHER],
      5000,
      never,
      fakeDarkWatchIo(() => SILENCE, link),
    );
    assert.match(down ?? '', /own link mig0 is down/);
  });

  test("a watched host is silent if its address is missing in this segment, but not by a router's word", async () => {
    const missing = () => ({ isUp: true, missing: true, route: 'mig0' }) as const;
    const own = fakeDarkWatchIo((_path, nth) => (nth % 3 === 2 ? UNREACHABLE : SILENCE), missing);
    assert.equal(await whyNotDark(ONE, [OTHER], 5000, never, own), undefined);
    const routed = await whyNotDark(
      ONE,
      [OTHER],
      5000,
      never,
      fakeDarkWatchIo(() => UNREACHABLE),
    );
    assert.match(routed ?? '', /EHOSTUNREACH, which a router or a firewall may say/);
  });

  test('a watched host is not dark if no other host answers over the same path all the time', async () => {
    const up = (route: string) => ({ isUp: true, missing: false, route }) as const;
    // The firewall of this host drops what it sends: from the start, from some time on, and for a while.
    for (const [drops, why] of [
      [
        (nth: number) => nth >= 0,
        /no other host answered over the route to 10\.0\.0\.2:7400 either/,
      ],
      [(nth: number) => nth >= 5, /another one over the same route, for 10000 ms without a break/],
      [(nth: number) => nth > 25 && nth < 29, /without a break/],
    ] as const) {
      const io = fakeDarkWatchIo(
        () => SILENCE,
        () => up('mig0'),
        (nth) => (drops(nth) ? SILENCE : REFUSED),
      );
      assert.match((await whyNotDark(ONE, [OTHER], 10_000, never, io)) ?? 'dark', why);
    }
    // Another way proves nothing of this one.
    const elsewhere = fakeDarkWatchIo(
      () => SILENCE,
      (ip) => up(ip === '10.1.0.2' ? 'mig1' : 'mig0'),
    );
    assert.equal(await whyNotDark(ONE, [OTHER], 10_000, never, elsewhere), undefined);
    assert.match(
      (await whyNotDark(TWO, [OTHER], 10_000, never, elsewhere)) ?? 'dark',
      /no other host is known over mig1, .* its own route to 10\.1\.0\.2:7400 is open/,
    );
    for (const others of [[], ONE, ['10.0.0.2:9']]) {
      const why = await whyNotDark(ONE, others, 10_000, never, elsewhere);
      assert.match(why ?? 'dark', /no other host is known over mig0/);
    }
  });

  test('a watched host is not dark if this host changes its route meanwhile', async () => {
    let looks = 0;
    const io = fakeDarkWatchIo(
      () => SILENCE,
      (ip) => {
        looks += ip === '10.0.0.2' ? 1 : 0;
        return { isUp: true, missing: false, route: looks > 4 ? 'mig0 by 10.0.0.9' : 'mig0' };
      },
    );
    const why = await whyNotDark(ONE, [OTHER], 10_000, never, io);
    assert.match(why ?? 'dark', /sends over mig0 by 10\.0\.0\.9 now, no more over mig0/);
  });

  test('a watched host is not dark if it is reached through a relay, whatever a name server answers', async () => {
    const io = fakeDarkWatchIo(() => SILENCE);
    const why = await whyNotDark(['b.relay:7400'], [OTHER], 5000, never, io);
    assert.match(why ?? 'dark', /unknown: b\.relay:7400 leads through a relay/);
  });

  test('a watched host is not dark if its name has no address', async () => {
    const io = fakeDarkWatchIo(() => SILENCE);
    const resolve = async (): Promise<string[]> => {
      throw new Error('ENOTFOUND b.example');
    };
    const why = await whyNotDark(['b.example:7400'], [OTHER], 5000, never, { ...io, resolve });
    assert.match(why ?? '', /unknown: .*ENOTFOUND b\.example/);
  });

  test('a watched host is not dark if this host stalls while it asks', async () => {
    const io = fakeDarkWatchIo(() => SILENCE);
    // Whoever sleeps wakes much too late.
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
      io.clock.sleep(ms + 4000, signal);
    const slow = { ...io, clock: { ...io.clock, sleep } };
    const why = await whyNotDark(ONE, [OTHER], 5000, never, slow);
    assert.match(why ?? '', /could not ask it, .* for 5000 ms without a break/);
  });

  test('a watched host is dark only without any answer, and always in time, whatever the answers', async () => {
    const words = fc.oneof(
      { weight: 40, arbitrary: fc.constant(SILENCE) },
      { weight: 1, arbitrary: fc.constantFrom(REFUSED, LOCAL, UNREACHABLE) },
    );
    const scripts = fc.array(fc.array(words, { minLength: 12, maxLength: 12 }), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(scripts, async (all) => {
        const paths = all.map((_script, index) => `10.${index}.0.2:7400`);
        const io = fakeDarkWatchIo((path, nth) => all[paths.indexOf(path)]?.[nth] ?? REFUSED);
        const why = await whyNotDark(paths, [OTHER], 10_000, never, io);
        const heard = io.questions.length;
        assert.ok(heard > 0 && io.clock.monotonicMs() <= darkWatchMs(10_000) + 1250);
        const nths = new Map<string, number>();
        const answered = io.questions.some(({ path }) => {
          const nth = nths.get(path) ?? 0;
          nths.set(path, nth + 1);
          return all[paths.indexOf(path)]?.[nth] !== SILENCE;
        });
        // A question that was under way when the verdict fell may have had another answer to come.
        if (why === undefined) {
          assert.ok(io.clock.monotonicMs() >= 10_000);
          for (const path of paths) {
            const asked = (nths.get(path) ?? 0) - 1;
            assert.ok(all[paths.indexOf(path)]?.slice(0, asked).every((each) => each === SILENCE));
          }
        } else assert.ok(answered);
      }),
      { numRuns: 200 },
    );
  });

  test('a watch is given up with its signal', async () => {
    const aborted = AbortSignal.abort(new Error('enough'));
    await assert.rejects(
      whyNotDark(
        ONE,
        [OTHER],
        5000,
        aborted,
        fakeDarkWatchIo(() => SILENCE),
      ),
      /enough/,
    );
  });
});

test('one check of a kernel finds an answer over any path, and silence only over all of them', async () => {
  const look = (word: (path: string) => KernelWord) =>
    lookAtKernel(TWO, never, fakeDarkWatchIo(word));
  assert.equal(await look((path) => (path === TWO[1] ? REFUSED : SILENCE)), 'answers');
  assert.equal(await look(() => SILENCE), 'silent');
  assert.equal(await look((path) => (path === TWO[1] ? LOCAL : SILENCE)), 'unknown');
  const relayed = [...ONE, 'a.relay:7400'];
  assert.equal(
    await lookAtKernel(
      relayed,
      never,
      fakeDarkWatchIo(() => SILENCE),
    ),
    'unknown',
  );
});
