import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { AgentHost } from './support/agent-host.ts';

describe('a move of a guest of libvirt that is to begin later', () => {
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

  test('is cancelled while it waits, and libvirt has never heard of it', async () => {
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

  test('waits on when its agent restarts and its mover dies, and begins no sooner than it was to', async () => {
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
