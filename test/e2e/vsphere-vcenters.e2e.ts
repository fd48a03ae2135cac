import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Vcsim } from '../drivers/vsphere/support/vcsim.ts';
import { AgentHost } from './support/agent-host.ts';

const THERE = 'vc2-dc0-c0-h1';
const [ELSEWHERE, STORE] = ['VC2_DC0_C0_H1', 'LocalDS_1'];

let one: Vcsim;
let two: Vcsim;
/** Drives the first vCenter, and knows the second; and the agent of the second. */
let here: AgentHost;
let there: AgentHost;
let count = 0;

/** A guest of the first vCenter that no other test has, on its first host. */
async function nextGuest(): Promise<string> {
  const guest = `DC0_C0_RP0_VM${count}`;
  count += 1;
  await one.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
  return guest;
}

const away = (guest: string, ...more: readonly string[]): Promise<CommandResult> =>
  here.godwit('migrate', guest, '--to', THERE, ...more);
type CommandResult = Awaited<ReturnType<AgentHost['godwit']>>;

async function assertUntouched(guest: string): Promise<void> {
  const { [guest]: real } = await one.guests();
  assert.deepEqual([real?.host, real?.tasks], ['DC0_C0_H0', 0]);
  assert.equal((await two.guests())[guest], undefined);
}

async function assertMoved(guest: string): Promise<void> {
  assert.equal((await one.guests())[guest], undefined);
  const { [guest]: real } = await two.guests();
  assert.deepEqual([real?.host, real?.tasks], [ELSEWHERE, 1]);
}

describe('guests of one of two vCenters', () => {
  before(async () => {
    one = await Vcsim.open({ guests: 12 });
    two = await Vcsim.open({ name: 'VC2_', guests: 2 });
    const others = { vc2: two.section };
    const qemu = { programs: [] };
    here = await AgentHost.start('steers1', { qemu, vsphere: { ...one.section, others } });
    there = await AgentHost.start('steers2', { qemu, vsphere: two.section });
  });

  after(async () => {
    await here?.close();
    await there?.close();
    await one?.close();
    await two?.close();
  });

  test('guests move to the other vCenter, and are listed by its agent alone', async () => {
    const guest = await nextGuest();
    const checked = await here.godwit(
      'migrate',
      guest,
      '--to',
      THERE,
      '--dry-run',
      '--datastore',
      STORE,
    );
    assert.equal(checked.exit, 0, checked.out + checked.err);
    assert.match(checked.out, /to vc2: VMware vCenter Server, API 6\.5/);
    await assertUntouched(guest);
    const moved = await away(guest, '--datastore', STORE);
    assert.equal(moved.exit, 0, moved.out + moved.err);
    await assertMoved(guest);
    assert.equal((await two.guests())[guest]?.datastore, STORE);
    const found = await here.reportOf(/m-[0-9a-z]+/.exec(moved.out)?.[0] ?? '');
    assert.deepEqual([found.outcome, found.runsAt, found.to], ['done', 'destination', THERE]);
    assert.doesNotMatch((await here.godwit('guests', '--fresh')).out, new RegExp(`${guest}\\b`));
    const listed = await there.godwit('guests', '--fresh');
    assert.match(listed.out, new RegExp(`${guest} .*${THERE}`), listed.err);
  });

  test('guests keep a datastore that both vCenters show, and are refused without one at the destination', async () => {
    const guest = await nextGuest();
    const refused = await away(guest);
    assert.equal(refused.exit, 4, refused.out + refused.err);
    assert.match(refused.err, /does not have the guest’s datastore LocalDS_0/);
    assert.match(refused.err, /--datastore: it has LocalDS_0, LocalDS_1/);
    await assertUntouched(guest);
    for (const vcenter of [one, two])
      await vcenter.ask({ do: 'datastore', name: 'LocalDS_0', value: 'ds:///vmfs/volumes/1/' });
    const moved = await away(guest);
    assert.equal(moved.exit, 0, moved.out + moved.err);
    await assertMoved(guest);
  });

  test('guests are refused if one of their networks has no counterpart, and for an unknown host', async () => {
    const guest = await nextGuest();
    await two.ask({ do: 'network', name: 'DC0_DVPG0', value: 'DC0_DVPG1' });
    const refused = await away(guest, '--datastore', STORE);
    await two.ask({ do: 'network', name: 'DC0_DVPG1', value: 'DC0_DVPG0' });
    assert.equal(refused.exit, 4, refused.out + refused.err);
    assert.match(refused.err, /is on DC0_DVPG0, and that host has no network of that name/);
    assert.match(refused.err, /Did you mean DC0_DVPG1\?/);
    const unknown = await here.godwit('migrate', guest, '--to', 'kvm-rack7-node12');
    assert.equal(unknown.exit, 3, unknown.out + unknown.err);
    assert.match(unknown.err, /another hypervisor .*virt-v2v/);
    await assertUntouched(guest);
  });

  test("guests are refused if the vCenters do not trust each other, with vSphere's message", async () => {
    const guest = await nextGuest();
    const fields = { SelfSigned: true, Thumbprint: 'AA:BB' };
    const faults = [{ type: 'SSLVerifyFault', fields, text: 'the certificate is another' }];
    await one.ask({ do: 'check', faults });
    const refused = await away(guest, '--datastore', STORE);
    await one.ask({ do: 'check', faults: [] });
    assert.equal(refused.exit, 4, refused.out + refused.err);
    assert.match(refused.err, /the certificate is another \(SSLVerifyFault\)/);
    assert.match(refused.err, /another certificate there than Godwit/);
    await assertUntouched(guest);
  });

  test('guests are refused with a wrong password of the other vCenter', async () => {
    const guest = await nextGuest();
    writeFileSync(two.passwordFile, 'wrong\n');
    const refused = await away(guest, '--datastore', STORE);
    writeFileSync(two.passwordFile, 'secret\n');
    assert.equal(refused.exit, 4, refused.out + refused.err);
    assert.match(refused.err, /vc2 could not be asked for that host: .*does not allow a login/);
    await assertUntouched(guest);
  });

  test('the other vCenter is examined by doctor, too', async () => {
    const config = path.join(here.dir, 'agent.json');
    const found = await here.godwit('doctor', '--driver', 'vsphere', '--config', config);
    assert.match(
      found.out,
      /other .*vc2: VMware vCenter Server, API 6\.5\.0, as godwit; certificate/,
    );
  });

  test('guests are moved once if the mover dies and their vCenter is restarted half-way', async () => {
    const guest = await nextGuest();
    await one.tasks(3000);
    const begun = await away(guest, '--datastore', STORE, '--detach', '--json');
    assert.equal(begun.exit, 0, begun.err);
    const { id } = JSON.parse(begun.out) as { id: string };
    await here.inPhase(id, 'memory');
    assert.equal(here.killMover(id), true);
    await one.down();
    await one.up();
    await one.tasks(500);
    const found = await here.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    await assertMoved(guest);
  });

  test('a move whose other vCenter is silent at the end is done once that answers', async () => {
    const guest = await nextGuest();
    await one.tasks(1500);
    const begun = await away(guest, '--datastore', STORE, '--detach', '--json');
    const { id } = JSON.parse(begun.out) as { id: string };
    await here.inPhase(id, 'memory');
    // Its own vCenter has asked the other one by then, and asks no more until the end.
    await here.until(async () => (await here.progress(id)).percent > 0);
    await two.fault('503', { times: 6 });
    const found = await here.ended(id);
    await one.tasks(500);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    await assertMoved(guest);
  });

  test('guests are not sent to a vCenter with another certificate than the pinned one', async () => {
    const guest = await nextGuest();
    await two.ask({ do: 'certificate' });
    await two.down();
    await two.up();
    const refused = await away(guest, '--datastore', STORE);
    assert.equal(refused.exit, 4, refused.out + refused.err);
    assert.match(refused.err, /vc2 could not be asked .*not the one that was pinned/);
    assert.match(refused.err, /drivers\.vsphere\.others\.vc2\.fingerprint/);
    await assertUntouched(guest);
    // The first call of whoever believes nothing is none.
    assert.deepEqual(
      await two.calls().then((calls) => calls.filter((each) => each === 'Login')),
      [],
    );
  });
});
