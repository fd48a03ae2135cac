import assert from 'node:assert/strict';
import { closeSync, linkSync, openSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { readMachineCapabilities } from '../../src/drivers/libvirt/capabilities.ts';
import { LibvirtClient } from '../../src/drivers/libvirt/client.ts';
import { DomainEvents } from '../../src/drivers/libvirt/events.ts';
import { figuresOfEnded } from '../../src/drivers/libvirt/job.ts';
import { libvirtOptions } from '../../src/drivers/libvirt/options.ts';
import { seenCpu } from '../../src/drivers/libvirt/processor.ts';
import { compareCpu, domainCapabilities } from '../../src/drivers/libvirt/questions.ts';
import { isEnd, type Report } from '../../src/protocol/public/migration.ts';
import { parseXml } from '../../src/formats/xml.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { until } from '../until.ts';
import { AgentHost } from './support/agent-host.ts';

const WAIT_MS = 60_000;

/** An agent beside the libvirt of a, and b, at which no Godwit is: libvirt's own client is the witness. */
describe('guests of libvirt', () => {
  let hosts: LibvirtHosts;
  let agent: AgentHost;
  // Agents see every QEMU of this machine, also those of files that run beside this one.
  const guest = `libvirt-${process.pid}`;

  before(async () => {
    hosts = await LibvirtHosts.open();
    agent = await AgentHost.start('a', { qemu: {}, libvirt: hosts.options('a') });
  });
  after(async () => {
    await agent?.close();
    await hosts?.close();
  });
  afterEach(() => hosts.destroy(guest));

  async function states(): Promise<string[]> {
    return Promise.all(['a', 'b'].map((host) => hosts.state(host, guest)));
  }

  /** The guest runs once, and the report says where. */
  async function assertTrue({ runsAt, error }: Report): Promise<void> {
    assert.ok(runsAt !== 'unknown', `nobody knows where it is: ${error?.message ?? ''}`);
    const now = await states();
    const expected = runsAt === 'source' ? ['running', 'absent'] : ['absent', 'running'];
    assert.deepEqual(now, expected, `${runsAt} ${error?.message ?? ''}`);
  }

  async function marks(): Promise<string[]> {
    const words = ['metadata', guest, '--uri', 'urn:godwit:migration:1'] as const;
    const all = ['a', 'b'].map((host) => hosts.virsh(host, ...words).catch(() => ''));
    return (await Promise.all(all)).filter((each) => each !== '');
  }

  /** Whether libvirt says, before the migration ends, that a host is in post-copy with the guest. */
  async function sawPostCopy(id: string): Promise<boolean> {
    for (;;) {
      const words = ['domstate', guest, '--reason'] as const;
      const seen = ['a', 'b'].map((host) => hosts.virsh(host, ...words).catch(() => ''));
      if ((await Promise.all(seen)).some((each) => each.includes('post-copy'))) return true;
      if (isEnd((await agent.progress(id)).phase)) return false;
    }
  }

  async function inFlight(id: string): Promise<void> {
    await until('libvirt to move it', WAIT_MS, async () => {
      const { phase } = await agent.progress(id);
      const job = await hosts.virsh('a', 'domjobinfo', guest).catch(() => '');
      return phase === 'memory' && job.includes('Unbounded') ? true : undefined;
    });
  }

  test('guests are listed once, checked, and moved by the usual commands, and their definition goes along', async () => {
    await hosts.guest('a', guest, { isPersistent: true });
    await hosts.virsh('a', 'autostart', guest);
    const listed = await agent.godwit('guests', '--json');
    assert.equal(listed.exit, 0, listed.err);
    const all = (JSON.parse(listed.out) as { guests: { name: string; driver: string }[] }).guests;
    const rows = all.filter(({ name }) => name === guest);
    assert.deepEqual(
      rows.map(({ driver }) => driver),
      ['libvirt'],
    );
    const moved = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(moved.exit, 0, moved.err + moved.out);
    assert.deepEqual(await states(), ['absent', 'running']);
    const info = await hosts.virsh('b', 'dominfo', guest);
    assert.match(info, /Persistent:\s+yes/);
    assert.match(info, /Autostart:\s+enable/);
    assert.deepEqual(await marks(), []);
  });

  test("guests move with a report of libvirt's figures, and its daemon sends events of their progress", async () => {
    const uuid = await hosts.guest('a', guest);
    const { uri, credentials } = hosts.options('a');
    const client = await LibvirtClient.open(uri ?? '', credentials, AbortSignal.timeout(WAIT_MS));
    const heard: number[] = [];
    const signal = AbortSignal.timeout(2 * WAIT_MS);
    const domain = await client.domain({ uuid }, signal);
    const events =
      domain && (await DomainEvents.open(client, domain, signal, (each) => heard.push(each)));
    const found = await agent.ended(await agent.begin(guest));
    assert.equal(found.outcome, 'done');
    await assertTrue(found);
    assert.ok((found.downtimeMs ?? 0) > 0, JSON.stringify(found));
    assert.ok((found.bytes ?? 0) > 1024 ** 2);
    assert.match(await hosts.virsh('b', 'dominfo', guest), /Persistent:\s+no/);
    await events?.changed(WAIT_MS, signal);
    client.close();
    // Its state, the passes over its memory, and its job's end.
    assert.deepEqual(
      [...new Set(heard)].toSorted((one, other) => one - other),
      [318, 359, 363],
    );
    assert.ok(figuresOfEnded(events?.completed, 'precopy')?.downtimeMs !== undefined);
  });

  for (const mode of ['postcopy', 'hybrid']) {
    test(`guests move by ${mode}`, async (t) => {
      await hosts.guest('a', guest, { dirtyMib: 32 });
      // So slow that pre-copy does not end.
      const id = await agent.begin(guest, '--mode', mode, '--max-bandwidth', '160mbit');
      const [found, switched] = await Promise.all([agent.ended(id), sawPostCopy(id)]);
      if (/userfault/i.test(found.error?.message ?? '')) return t.skip(found.error?.message);
      assert.equal(found.outcome, 'done', JSON.stringify(found));
      await assertTrue(found);
      assert.equal(switched, true, 'it ran at b before its memory was there');
      assert.ok(found.downtimeMs !== undefined, 'the source counted it');
      return undefined;
    });
  }

  test('guests stay at their source when the migration is cancelled', async () => {
    await hosts.guest('a', guest);
    const id = await agent.begin(guest, '--max-bandwidth', '8mbit');
    await inFlight(id);
    assert.equal((await agent.godwit('cancel', id)).exit, 0);
    const found = await agent.ended(id);
    assert.equal(found.outcome, 'cancelled', JSON.stringify(found));
    await assertTrue(found);
  });

  test('guests take a local disk along, and leave nothing of it if they do not arrive', async () => {
    const name = `${guest}.qcow2`;
    await hosts.pool('a');
    const size = ['--capacity', '64M', '--format', 'qcow2'];
    await hosts.virsh('a', 'vol-create-as', 'disks', name, ...size);
    await hosts.guest('a', guest, { isPersistent: true, image: path.join(hosts.disks, name) });
    const noPool = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(noPool.exit, 4, noPool.err + noPool.out);
    assert.match(noPool.err, /b has no place for a copy of disk vda .*no active storage pool/);
    await hosts.pool('b');
    await hosts.virsh('b', 'vol-create-as', 'disks', name, '--capacity', '1M');
    const taken = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(taken.exit, 4, taken.err + taken.out);
    assert.match(taken.err, /pool disks there has a volume libvirt-\S+ already/);
    await hosts.virsh('b', 'vol-delete', name, '--pool', 'disks');
    const id = await agent.begin(guest, '--max-bandwidth', '8mbit');
    await inFlight(id);
    assert.deepEqual(hosts.images('b'), [name]);
    assert.equal((await agent.godwit('cancel', id)).exit, 0);
    const cancelled = await agent.ended(id);
    assert.equal(cancelled.outcome, 'cancelled', JSON.stringify(cancelled));
    assert.deepEqual([hosts.images('a'), hosts.images('b')], [[name], []]);
    await assertTrue(cancelled);
    // Another file comes to its path, as by a restore; then another program has the guest's own file open.
    const file = path.join(hosts.disks, name);
    linkSync(file, `${file}.own`);
    writeFileSync(`${file}.new`, 'a restored copy');
    renameSync(`${file}.new`, file);
    const replaced = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(replaced.exit, 4, replaced.err + replaced.out);
    assert.match(replaced.err, /vda of \S+ \(.*\) cannot move: the file at this path is not the/);
    renameSync(`${file}.own`, file);
    const other = openSync(file, 'r+');
    const used = await agent.godwit('migrate', guest, '--to', 'b');
    closeSync(other);
    assert.equal(used.exit, 4, used.err + used.out);
    assert.match(used.err, new RegExp(`cannot be copied: process ${process.pid} \\(`));
    const moved = await agent.ended(await agent.begin(guest));
    assert.equal(moved.outcome, 'done', JSON.stringify(moved));
    assert.deepEqual(moved.leftovers, undefined);
    await assertTrue(moved);
    assert.deepEqual([hosts.images('a'), hosts.images('b')], [[], [name]]);
    assert.match(await hosts.virsh('b', 'vol-info', name, '--pool', 'disks'), /64.00 MiB/);
  });

  test('guests complete their move though the mover dies', async () => {
    await hosts.guest('a', guest);
    const id = await agent.begin(guest, '--max-bandwidth', '200mbit');
    await inFlight(id);
    assert.equal(agent.killMover(id), true);
    const found = await agent.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    await assertTrue(found);
  });

  for (const daemon of ['a', 'b']) {
    test(`guests run once, and the report is true, when libvirtd of ${daemon} is killed`, async () => {
      await hosts.guest('a', guest);
      const id = await agent.begin(guest, '--max-bandwidth', '16mbit');
      await inFlight(id);
      await hosts.down(daemon);
      await hosts.up(daemon);
      const found = await agent.ended(id);
      await assertTrue(found);
    });
  }

  test('guests are refused by name if libvirt cannot be asked, is missing, or has another guest of that name', async () => {
    await hosts.guest('a', guest);
    await hosts.down('b', 'SIGTERM');
    const silent = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(silent.exit, 8, silent.err + silent.out);
    assert.match(silent.err, /libvirt at qemu\+tcp.* does not answer/);
    await hosts.up('b');
    const none = await agent.godwit('migrate', guest, '--to', 'nowhere');
    assert.equal(none.exit, 8, none.err + none.out);
    await hosts.define('b', guest);
    const taken = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(taken.exit, 4, taken.err + taken.out);
    assert.match(taken.err, /b already has a guest called libvirt-/);
    await hosts.virsh('b', 'undefine', guest);
    assert.deepEqual(await states(), ['running', 'absent']);
  });

  test('guests with a snapshot at the source, or their UUID at the destination, are refused beforehand', async () => {
    const uuid = await hosts.guest('a', guest);
    await hosts.define('b', `${guest}-copy`, uuid);
    const copied = await agent.godwit('migrate', guest, '--to', 'b', '--dry-run');
    assert.equal(copied.exit, 4, copied.err + copied.out);
    assert.match(
      copied.out + copied.err,
      /b already has a guest with the UUID of libvirt-\S+, called/,
    );
    await hosts.virsh('b', 'undefine', `${guest}-copy`);
    await hosts.snapshot('a', guest);
    const kept = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(kept.exit, 4, kept.err + kept.out);
    assert.match(kept.err, /has 1 snapshot at a, which its manager does not move/);
    await hosts.virsh('a', 'snapshot-delete', guest, 'before', '--metadata');
    assert.deepEqual(await states(), ['running', 'absent']);
    const moved = await agent.godwit('migrate', guest, '--to', 'b');
    assert.equal(moved.exit, 0, moved.err + moved.out);
  });

  test('guests are checked against the machine types and the processor of the destination', async () => {
    await hosts.guest('a', guest);
    const checked = await agent.godwit('migrate', guest, '--to', 'b', '--dry-run', '--json');
    assert.equal(checked.exit, 0, checked.err + checked.out);
    for (const name of ['machine', 'accelerator', 'processor']) {
      assert.match(
        checked.out,
        new RegExp(`"name":\\s*"${name}",\\s*"side":\\s*"destination",\\s*"verdict":\\s*"pass"`),
      );
    }
    const signal = AbortSignal.timeout(WAIT_MS);
    const { uri, credentials } = libvirtOptions.parse({ uri: hosts.uri('b') });
    const client = await LibvirtClient.open(uri ?? '', credentials, signal);
    try {
      const cpu = parseXml(
        '<cpu mode="custom" match="exact"><model>Cascadelake-Server</model></cpu>',
      );
      assert.ok(cpu);
      const emulator = undefined;
      const machine = { virtType: 'qemu', arch: 'x86_64', type: 'q35', emulator, cpu };
      const parts = readMachineCapabilities(await domainCapabilities(client, machine, signal));
      assert.ok(parts?.tpmBackends !== undefined, 'libvirt 9.0 says how it gives a TPM');
      const compared = await compareCpu(client, machine, signal);
      assert.match('why' in compared ? compared.why : '', /required features: .*avx512/);
      const own = parseXml('<cpu mode="maximum"/>');
      assert.ok(own && parts.processor, 'libvirt 9.0 says what the best processor is');
      const best = { ...machine, cpu: seenCpu(parts.processor, own) };
      assert.notEqual((await compareCpu(client, best, signal)).is, 'incompatible');
    } finally {
      client.close();
    }
  });
});
