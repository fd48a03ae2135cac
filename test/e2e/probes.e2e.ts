import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { guestAddress } from '../../lab/plan.ts';
import { watchFrom } from '../../lab/probe/from-host.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { probeReport, type ProbeReport } from '../../src/protocol/public/probe.ts';
import { godwit } from './support/cli.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { begin, move, reportAtEnd, untilMemoryFlows } from './support/moves.ts';
import { assertOnlyGuests, hostsNow } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const ADDRESS = guestAddress(1);
/** After a migration from b. Its agent is killed and started again meanwhile. */
const LATER_MS = 8000;
/** So that a host has long begun to watch before the switch, on a busy machine too. */
const UNHURRIED = { maxBandwidth: 6 * MIB, maxDowntimeMs: 50 } as const;

describe('a migration as other hosts see it', () => {
  let world: World;
  let watched: WatchedGuest;

  before(async () => {
    const configure = (host: string) => {
      const later = host === 'b' ? { laterMs: LATER_MS } : {};
      return { network: { probe: { addresses: { web1: [ADDRESS] }, ...later } } };
    };
    world = await openWorld('seen', { hosts: 3, configure });
    const { address } = await startGuest(world.lab, { name: 'web1', host: 'a', ...SMALL_GUEST });
    assert.equal(address, ADDRESS);
    watched = await watchGuest(world, 'web1');
  });
  after(() => world?.close());

  const only = ({ vantages = [] }: Report): ProbeReport => {
    const [seen, ...more] = vantages;
    assert.ok(seen !== undefined && more.length === 0, JSON.stringify(vantages));
    assert.equal(seen.host, 'c');
    return seen;
  };
  /** Of a watch nothing is left: neither its process (below) nor its port. */
  const portsOn = async (host: string): Promise<string[]> => {
    const links = await runCommand(inHost(world.lab, host, ['ip', '-br', 'link']));
    return links.split('\n').filter((line) => /^gw[0-9a-f]{8}w/.test(line));
  };
  const watchersOn = async (host: string): Promise<number> => {
    const found = (await hostsNow(world.lab)).find((each) => each.host === host);
    return (found?.processes ?? []).filter((name) => name.includes('watcher.ts')).length;
  };

  test('the observed gap is no shorter than the pause of the guest', async (t) => {
    let report: Report | undefined;
    await watched.unharmed('b', async () => {
      report = await move(world, { guest: 'web1', from: 'a', to: 'b', ...UNHURRIED });
    });
    assert.ok(report !== undefined);
    const {
      kind,
      address,
      gapMs = 0,
      switchGapMs = 0,
      ownStallMs = 0,
      intervalMs = 0,
      ...seen
    } = only(report);
    assert.equal(`${kind} ${address}`, `arp ${ADDRESS}`, JSON.stringify(report.vantages));
    // What the watch itself was late by is all that may be missing from it.
    const least = report.downtimeMs ?? Infinity;
    assert.ok(switchGapMs + ownStallMs + intervalMs >= least, `${switchGapMs} ms of ${least} ms`);
    assert.ok(switchGapMs > 0 && switchGapMs <= gapMs, `${switchGapMs} ms of ${gapMs} ms`);
    assert.ok(gapMs < report.totalMs);
    assert.equal(seen.isOpen, false);
    const { sent = 0, answered = 0, gapAtMs = 0 } = seen;
    assert.ok(answered > 0 && answered <= sent, `${answered} of ${sent}`);
    assert.ok(gapAtMs > 0 && gapAtMs < report.totalMs);
    assert.ok(report.firstFrameMs !== undefined);
    await assertOnlyGuests(world, { b: ['web1'] });
    assert.deepEqual(await portsOn('c'), []);
    const shown = await godwit(world, 'report', report.id);
    const [, lines = ''] = /\nSeen from other hosts\n(.*\n)/.exec(shown.out) ?? [];
    assert.match(lines, /^c +[0-9.]+ m?s at the switch, at most /, shown.out + shown.err);
    t.diagnostic(`${lines.trim()}; first frame after ${report.firstFrameMs} ms`);
  });

  test('the probes continue afterwards, and the source keeps the results over a restart of its agent', async (t) => {
    let id = '';
    await watched.unharmed('a', async () => {
      ({ id } = await move(world, { guest: 'web1', from: 'b', to: 'a', ...UNHURRIED }));
    });
    const first = only(await world.agent('b').report({ params: { id } }));
    assert.equal(first.goesOnMs, LATER_MS, JSON.stringify(first));
    assert.equal(await watchersOn('c'), 1);
    await stopAgent(world.lab, 'b', 'SIGKILL');
    await startAgent(world.lab, 'b');
    const complete = async (host: string) => {
      const { latency } = only(await world.agent(host).report({ params: { id } }));
      return latency?.later?.complete === true ? latency.later : undefined;
    };
    const later = await until('what was seen afterwards', 40_000, () => complete('b'));
    assert.deepEqual(await complete('a'), later);
    const { waits, answered, sent, forMs, gapMs } = later;
    assert.ok(forMs >= LATER_MS && forMs < 2 * LATER_MS, `${forMs} ms`);
    assert.ok(waits !== undefined && waits.count <= answered && answered <= sent);
    assert.ok(waits.p50Ms <= waits.p99Ms && waits.p99Ms <= gapMs, JSON.stringify(later));
    // One each 100 ms, on a busy machine fewer.
    assert.ok(sent > 20 && sent <= LATER_MS / 100 + 2, `${sent} probes`);
    const shown = await godwit(world, 'report', id);
    const [line = ''] = /^c, afterwards .*$/m.exec(shown.out) ?? [];
    assert.match(line, /p50 and p99 of its answers .* in 8\.0 s$/, shown.out);
    await until('no watch to be left', 10_000, async () =>
      (await watchersOn('c')) === 0 && (await portsOn('c')).length === 0 ? true : undefined,
    );
    await assertOnlyGuests(world, { a: ['web1'] });
    t.diagnostic(line);
  });

  test('a migration continues if the agent of a probing host is killed, and reports it', async () => {
    let report: Report | undefined;
    await watched.unharmed('b', async () => {
      const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...UNHURRIED });
      await untilMemoryFlows(world, 'a', id);
      await until('c to watch', 20_000, async () =>
        (await watchersOn('c')) > 0 ? true : undefined,
      );
      await stopAgent(world.lab, 'c', 'SIGKILL');
      report = await reportAtEnd(world, 'a', id);
    });
    assert.equal(report?.outcome, 'done');
    const { notTried, gapMs } = only(report);
    assert.equal(gapMs, undefined);
    assert.match(notTried ?? '', /^c at .* does not answer/);
    await startAgent(world.lab, 'c');
    await assertOnlyGuests(world, { b: ['web1'] });
    assert.deepEqual(await portsOn('c'), []);
  });

  test("a migration can be watched by hand, in the guest's segment and over IP", async () => {
    const { lab } = world;
    const near = await watchFrom(lab, 'web1', { forMs: 500 });
    assert.deepEqual([near.host, near.kind, near.isOpen], ['a', 'arp', false]);
    const far = await watchFrom(lab, 'web1', { from: 'client', forMs: 500 });
    assert.deepEqual([far.host, far.kind, far.address], ['client', 'icmp', ADDRESS]);
    const asked = ['--from', 'client', '--kind', 'tcp', '--for', '500ms', '--json'];
    const refused = await godwit(world, 'lab', 'probe', 'web1', ...asked);
    assert.equal(refused.exit, 0, refused.err);
    const { host, kind, answered = 0 } = probeReport.parse(JSON.parse(refused.out));
    assert.deepEqual([host, kind], ['client', 'tcp']);
    assert.ok(answered > 0);
    // No address of a host is in the guests' network.
    const none = await watchFrom(lab, 'web1', { from: 'c', kind: 'icmp', forMs: 500 });
    assert.match(none.notTried ?? '', /^ICMP: /);
    await assertOnlyGuests(world, { b: ['web1'] });
  });
});
