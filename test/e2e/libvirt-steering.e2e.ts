import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { isEnd, type Report } from '../../src/protocol/public/migration.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { until } from '../until.ts';
import { AgentHost } from './support/agent-host.ts';

const WAIT_MS = 240_000;
/** By far less than the guest writes. */
const CAP = ['--max-bandwidth', '80mbit'] as const;

describe('a guest of libvirt that writes more than the link takes', () => {
  let hosts: LibvirtHosts;
  let agent: AgentHost;
  const guest = `lvsteer-${process.pid}`;

  before(async () => {
    hosts = await LibvirtHosts.open();
    agent = await AgentHost.start('a', { qemu: {}, libvirt: hosts.options('a') });
  });
  after(async () => {
    await agent?.close();
    await hosts?.close();
  });
  afterEach(() => hosts.destroy(guest));

  const runsAt = async (): Promise<string | undefined> => {
    const states = await Promise.all(['a', 'b'].map((host) => hosts.state(host, guest)));
    return states.join() === 'running,absent'
      ? 'a'
      : states.join() === 'absent,running'
        ? 'b'
        : states.join();
  };

  /** Rounds of a guest that is slowed down take long. */
  async function ended(id: string): Promise<Report> {
    await until('its end', WAIT_MS, async () =>
      isEnd((await agent.progress(id)).phase) ? true : undefined,
    );
    return agent.reportOf(id);
  }

  const decided = ({ decisions }: Report) => decisions.filter(({ rule }) => rule !== undefined);

  test('a guest is given up early under gentle, with the figures, and keeps its settings', async (t) => {
    await hosts.guest('a', guest, { dirtyMib: 32 });
    const made = await ended(await agent.begin(guest, '--steering', 'gentle', ...CAP));
    t.diagnostic(`${made.totalMs} ms: ${made.error?.message} ${made.error?.hint}`);
    assert.equal(made.error?.code, 'GODWIT_GIVEN_UP', JSON.stringify(made));
    assert.match(
      made.error.message,
      /strategy gentle.*dirties [\d.]+ [KM]iB\/s.*link takes [\d.]+ [KM]iB\/s/,
    );
    assert.match(made.error.hint, /^Use .* or .*\.$/);
    assert.deepEqual([made.outcome, made.runsAt, await runsAt()], ['failed', 'source', 'a']);
    assert.deepEqual(
      decided(made).map(({ rule }) => rule),
      ['exhausted'],
    );
    assert.ok(made.roundList.length > 0 && made.totalMs < WAIT_MS);
  });

  test('a guest gets a longer downtime that is nearly enough under standard, and then moves by post-copy', async (t) => {
    await hosts.guest('a', guest, { dirtyMib: 32 });
    // What it keeps writing takes about 3.6 s.
    const words = ['--steering', 'standard', '--max-downtime', '2400ms', ...CAP];
    const made = await ended(await agent.begin(guest, ...words));
    if (/userfault/i.test(made.error?.message ?? '')) return t.skip(made.error?.message);
    t.diagnostic(JSON.stringify(decided(made).map(({ what }) => what)));
    const steps = decided(made);
    assert.match(steps[0]?.what ?? '', /^downtime: 600 ms to \d+ ms/, JSON.stringify(made));
    for (const { change } of steps) if (change !== undefined) assert.ok(change.to <= 2400);
    assert.match(steps.at(-1)?.what ?? '', /^post-copy: round \d+/);
    assert.deepEqual([made.outcome, await runsAt()], ['done', 'b'], JSON.stringify(made));
    return undefined;
  });

  test('a guest is slowed down by QEMU under no-postcopy, as libvirt reports it', async (t) => {
    await hosts.guest('a', guest, { dirtyMib: 32 });
    const id = await agent.begin(
      guest,
      '--steering',
      'no-postcopy',
      '--max-downtime',
      '400ms',
      ...CAP,
    );
    const seen = await until('QEMU to slow it down', WAIT_MS, async () => {
      const { sample, phase } = await agent.progress(id);
      if (isEnd(phase))
        throw new Error(`it is ${phase}: ${JSON.stringify(await agent.reportOf(id))}`);
      return sample?.throttlePercent;
    });
    t.diagnostic(`${seen} %`);
    assert.ok(seen >= 20 && seen <= 99);
    const made = await ended(id);
    assert.ok(
      made.outcome === 'done' || made.error?.code === 'GODWIT_GIVEN_UP',
      JSON.stringify(made),
    );
    assert.equal(await runsAt(), made.outcome === 'done' ? 'b' : 'a');
  });

  test('a guest is steered further by the next mover', async (t) => {
    await hosts.guest('a', guest, { dirtyMib: 32 });
    const words = ['--steering', 'standard', '--max-downtime', '400ms', ...CAP];
    const id = await agent.begin(guest, ...words);
    await until('a decision', WAIT_MS, async () => {
      return decided(await agent.reportOf(id)).length > 0 ? true : undefined;
    });
    assert.equal(agent.killMover(id), true);
    const made = await ended(id);
    if (/userfault/i.test(made.error?.message ?? '')) return t.skip(made.error?.message);
    assert.deepEqual([made.outcome, await runsAt()], ['done', 'b'], JSON.stringify(made));
    assert.match(decided(made).at(-1)?.what ?? '', /^post-copy: /);
    return undefined;
  });
});
