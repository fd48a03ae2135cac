import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { planAnswer } from '../../src/protocol/public/plan.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { AgentHost } from './support/agent-host.ts';

const MIB = 1024 ** 2;

describe('a planned or delayed move of a libvirt guest', () => {
  let hosts: LibvirtHosts;
  let agent: AgentHost;
  const guest = `lvwaits-${process.pid}`;

  before(async () => {
    hosts = await LibvirtHosts.open();
    agent = await AgentHost.start('a', { qemu: {}, libvirt: hosts.options('a') });
  });
  after(async () => {
    await agent?.close();
    await hosts?.close();
  });
  afterEach(() => hosts.destroy(guest));

  const states = (): Promise<string[]> =>
    Promise.all(['a', 'b'].map((host) => hosts.state(host, guest)));

  test('a waiting move is cancelled, and libvirt was never asked', async () => {
    await hosts.guest('a', guest);
    const id = await agent.begin(guest, '--not-before', '1h');
    const { phase, note = '' } = await agent.progress(id);
    assert.equal(phase, 'planned');
    assert.match(note, /^waits until \d{4}-/);
    const mark = ['metadata', guest, '--uri', 'urn:godwit:migration:1'] as const;
    assert.equal(await hosts.virsh('a', ...mark).catch(() => ''), '');
    assert.equal((await agent.godwit('cancel', id)).exit, 0);
    const { outcome, runsAt } = await agent.ended(id);
    assert.deepEqual([outcome, runsAt], ['cancelled', 'source']);
    assert.deepEqual(await states(), ['running', 'absent']);
  });

  test("a move begins at once for a guest that is quiet by libvirt's measurements", async (t) => {
    await hosts.guest('a', guest, { dirtyMib: 0 });
    const made = await agent.ended(
      await agent.begin(guest, '--when', 'quiet', '--quiet-within', '2m'),
    );
    t.diagnostic(JSON.stringify(made.decisions[0]));
    assert.deepEqual([made.outcome, await states()], ['done', ['absent', 'running']]);
    assert.match(made.decisions[0]?.what ?? '', /^the guest is quiet: it writes /);
  });

  test("a move is planned by libvirt's measurements of the unchanged guest, and its report has the plan", async (t) => {
    await hosts.guest('a', guest, { dirtyMib: 24 });
    const xml = await hosts.virsh('a', 'dumpxml', guest);
    const words = ['--max-bandwidth', '400mbit'] as const;
    const asked = await agent.godwit(
      'migrate',
      guest,
      '--to',
      'b',
      '--dry-run',
      '--compare',
      '--json',
      ...words,
    );
    const plan = planAnswer.parse(JSON.parse(asked.out));
    t.diagnostic(JSON.stringify({ ...plan.measured, ...plan.prediction?.bytes }));
    assert.equal(await hosts.virsh('a', 'dumpxml', guest), xml);
    assert.deepEqual(await states(), ['running', 'absent']);
    const { measured, prediction, advice, others = [] } = plan;
    assert.equal(measured?.how, 'hypervisor', JSON.stringify(plan));
    assert.equal(measured.memoryBytes, 192 * MIB);
    assert.deepEqual(
      measured.curve.map(({ windowMs }) => windowMs),
      [1000, 3000],
    );
    // It writes 24 MiB/s, again and again to the same 24 MiB.
    assert.ok((measured.curve[1]?.dirtyBytes ?? 0) > 2 * MIB, JSON.stringify(measured.curve));
    assert.ok(prediction !== undefined && prediction.bytes.low < prediction.bytes.high);
    assert.ok(others.some(({ mode }) => mode === 'postcopy'));
    assert.ok(advice.some((each) => each.includes('its manager moves it')));
    assert.ok(advice.some((each) => each.includes('nobody could look at its pages')));
    const made = await agent.ended(await agent.begin(guest, ...words));
    t.diagnostic(JSON.stringify([made.outcome, made.bytes, made.totalMs, prediction.totalMs]));
    assert.deepEqual(made.prediction?.bytes, prediction.bytes);
    assert.equal(made.unpredicted, undefined);
  });

  test('a move keeps waiting when its agent restarts and its mover dies, and begins no sooner than planned', async () => {
    await hosts.guest('a', guest);
    const id = await agent.begin(guest, '--not-before', '20s');
    await agent.agentDown();
    assert.equal(agent.killMover(id), true);
    await agent.agentUp();
    const made = await agent.ended(id);
    assert.deepEqual([made.outcome, await states()], ['done', ['absent', 'running']]);
    assert.ok(made.takeovers >= 1);
    const notBefore = Date.parse(made.settings.notBefore ?? '');
    const waited = made.phases.find(({ phase }) => phase === 'planned')?.ms ?? 0;
    assert.ok(waited >= notBefore - Date.parse(made.startedAt), `${waited} ms`);
  });
});
