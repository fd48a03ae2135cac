import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test, type TestContext } from 'node:test';
import { LibvirtClient } from '../../../src/drivers/libvirt/client.ts';
import { destinationChecks, keptChecks } from '../../../src/drivers/libvirt/destination.ts';
import { readDomain, type DomainFacts } from '../../../src/drivers/libvirt/domain-xml.ts';
import { platformChecks } from '../../../src/drivers/libvirt/platform.ts';
import { XdrWriter, type XdrReader } from '../../../src/formats/xdr.ts';
import { fakeDaemon, type Answers } from './support/fake-daemon.ts';

/** virErrorNumber */
const NO_INTERFACE = 57;

const signal = AbortSignal.timeout(60_000);
const UUID = '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001';
const NO_DOMAIN = 42;

/** A daemon of which only these questions are known. */
async function daemon(t: TestContext, answers: Answers): Promise<LibvirtClient> {
  const all: Answers = {
    66: () => new XdrWriter().uint32(1).int32(0),
    1: () => new XdrWriter(),
    23: () => NO_DOMAIN,
    24: () => NO_DOMAIN,
    ...answers,
  };
  const socket = await fakeDaemon(t, all);
  const credentials = { ca: '/none', cert: '/none', key: '/none' };
  const uri = `qemu+unix:///system?socket=${socket}`;
  const client = await LibvirtClient.open(uri, credentials, signal);
  t.after(() => client.close());
  return client;
}

function facts(change: Partial<DomainFacts> = {}): DomainFacts {
  const file = new URL('./domains/virt-install-windows.xml', import.meta.url);
  const read = readDomain(readFileSync(file, 'utf8'));
  assert.ok(read.facts);
  return {
    ...read.facts,
    networks: [],
    hostLinks: [],
    disks: [],
    securityLabels: [],
    uuid: UUID,
    ...change,
  };
}

const domain = (name: string, uuid: string, id: number): XdrWriter =>
  new XdrWriter().string(name).uuid(uuid).int32(id);
const found = (asked: XdrReader): XdrWriter => new XdrWriter().string(asked.string(64)).uuid(UUID);
const flag = (value: number) => (): XdrWriter => new XdrWriter().int32(value);
const count = (value: number) => (): XdrWriter => new XdrWriter().uint32(0).int32(value);

async function refused(t: TestContext, answers: Answers, change = {}): Promise<string[]> {
  const there = await daemon(t, answers);
  const checks = await destinationChecks({ facts: facts(change), to: 'b', there }, signal);
  return checks.flatMap(({ error }) =>
    error === undefined ? [] : [`${error.code} ${error.message}`],
  );
}

describe('questions to a daemon before a move', () => {
  test('a destination without a guest of that name or UUID refuses nothing', async (t) => {
    assert.deepEqual(await refused(t, {}), []);
  });

  test('a name and a UUID of another guest are each refused by a separate error', async (t) => {
    const other = '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1002';
    const { name } = facts();
    const named = await refused(t, { 23: () => domain(name, other, -1) });
    assert.deepEqual(named, [`GODWIT_NAME_IN_USE b already has a guest called ${name}`]);
    const kept = { 183: flag(0), 274: count(0), 413: count(0) };
    const copied = await refused(t, { 24: () => domain('copy', UUID, -1), ...kept });
    assert.deepEqual(copied, [
      `GODWIT_UUID_IN_USE b already has a guest with the UUID of ${name}, called copy`,
    ]);
  });

  test('a saved state at the destination, which would be started instead, is refused', async (t) => {
    const { name } = facts();
    const same = { 23: () => domain(name, UUID, -1), 24: () => domain(name, UUID, -1) };
    const said = await refused(t, { ...same, 183: flag(1), 274: count(0), 413: count(0) });
    assert.deepEqual(said, [
      `GODWIT_GUEST_KEPT ${name} has a saved state at b, which its manager does not move`,
    ]);
  });

  test('snapshots and checkpoints at the source are counted', async (t) => {
    const client = await daemon(t, { 183: flag(0), 274: count(2), 413: count(1) });
    const at = { host: 'a', side: 'source' } as const;
    const checks = await keptChecks(client, { name: 'web', uuid: UUID, id: 3 }, at, signal);
    assert.deepEqual(
      checks.map(({ name, verdict, error }) => [name, verdict, error?.facts?.['what']]),
      [
        ['snapshots', 'refuse', '2 snapshots'],
        ['checkpoints', 'warn', undefined],
        ['saved', 'pass', undefined],
      ],
    );
    assert.match(checks[1]?.evidence ?? '', /has 1 checkpoint at a/);
  });

  test('an older daemon counts none, and only a warning is given for snapshots at the destination', async (t) => {
    const client = await daemon(t, { 183: flag(0), 274: count(1), 413: () => 39 });
    const at = { host: 'b', side: 'destination' } as const;
    const checks = await keptChecks(client, { name: 'web', uuid: UUID, id: -1 }, at, signal);
    assert.deepEqual(
      checks.map(({ verdict }) => verdict),
      ['warn', 'pass', 'pass'],
    );
  });

  test('a missing or stopped network is refused with the command', async (t) => {
    const networks = [{ nic: 'net0', network: 'lan' }];
    const missing = await refused(t, { 46: () => 43 }, { networks });
    assert.equal(missing.length, 1);
    assert.match(missing[0] ?? '', /GODWIT_DEVICE_UNMAPPED NIC net0 .*has no network lan/);
    const down = await refused(t, { 46: found, 152: flag(0) }, { networks });
    assert.match(down[0] ?? '', /has not started network lan/);
    assert.deepEqual(await refused(t, { 46: found, 152: flag(1) }, { networks }), []);
  });

  test('a missing or stopped storage pool is refused', async (t) => {
    const disks = [{ ...facts().disks[0], name: 'vda', kind: 'volume', pool: 'fast' }];
    const missing = await refused(t, { 84: () => 49 }, { disks });
    assert.match(missing[0] ?? '', /GODWIT_DEVICE_UNMAPPED disk vda .*has no storage pool fast/);
    assert.match(
      (await refused(t, { 84: found, 154: flag(0) }, { disks }))[0] ?? '',
      /has not started/,
    );
    assert.deepEqual(await refused(t, { 84: found, 154: flag(1) }, { disks }), []);
  });

  test('a missing bridge of the destination is refused by name, with the way to create one', async (t) => {
    const hostLinks = [{ nic: 'net0', device: 'br-lan', kind: 'bridge' }];
    const interfaceOf = (asked: XdrReader): XdrWriter => new XdrWriter().string(asked.string(64));
    assert.deepEqual(await refused(t, { 128: interfaceOf }, { hostLinks }), []);
    const there = await daemon(t, {
      128: () => NO_INTERFACE,
      285: () => new XdrWriter().uint32(0).uint32(0),
    });
    const asked = { facts: facts({ hostLinks } as Partial<DomainFacts>), to: 'b', there };
    const checks = await destinationChecks(asked, signal);
    const found = checks.find(({ name }) => name === 'bridge');
    assert.match(
      found?.error?.message ?? '',
      /^NIC net0 \(bridge br-lan\) .* has no network device br-lan/,
    );
    assert.match(found?.error?.hint ?? '', /^Make b a bridge br-lan, .*`ip link add br-lan/);
  });

  test('a bridge is found in the device list if libvirt has no interface driver, else a warning is given', async (t) => {
    const hostLinks = [{ nic: 'net0', device: 'br-lan', kind: 'bridge' }] as const;
    const verdicts = async (devices: readonly string[]): Promise<string[]> => {
      const list = (): XdrWriter => {
        const body = new XdrWriter().uint32(devices.length);
        for (const each of devices) body.string(each);
        return body.uint32(devices.length);
      };
      const there = await daemon(t, { 285: list });
      const asked = { facts: facts({ hostLinks }), to: 'b', there };
      const checks = await destinationChecks(asked, signal);
      return checks.filter(({ name }) => name === 'bridge').map(({ verdict }) => verdict);
    };
    assert.deepEqual(await verdicts(['net_br_lan_52_54_00_00_00_01']), ['pass']);
    assert.deepEqual(await verdicts(['net_br_lan_2_52_54_00_00_00_01', 'net_br_lan']), ['warn']);
  });

  test('a bridge missing from the interfaces is found in the device list, with a warning if that is refused', async (t) => {
    const hostLinks = [{ nic: 'net0', device: 'br-lan', kind: 'bridge' }] as const;
    const verdicts = async (list: () => XdrWriter | number): Promise<string[]> => {
      const there = await daemon(t, { 128: () => NO_INTERFACE, 285: list });
      const checks = await destinationChecks(
        { facts: facts({ hostLinks }), to: 'b', there },
        signal,
      );
      return checks.filter(({ name }) => name === 'bridge').map(({ verdict }) => verdict);
    };
    const one = new XdrWriter().uint32(1).string('net_br_lan_52_54_00_00_00_01').uint32(1);
    assert.deepEqual(await verdicts(() => one), ['pass']);
    assert.deepEqual(await verdicts(() => 3), ['warn']);
    assert.deepEqual(await verdicts(() => new XdrWriter().uint32(0).uint32(0)), ['refuse']);
  });

  test('a daemon that does not report its networks causes a warning', async (t) => {
    const there = await daemon(t, { 46: () => 3 });
    const asked = { facts: facts({ networks: [{ nic: 'net0', network: 'lan' }] }), to: 'b', there };
    const checks = await destinationChecks(asked, signal);
    assert.deepEqual(
      checks.filter(({ verdict }) => verdict === 'warn').map(({ name }) => name),
      ['network'],
    );
  });
});

describe("questions to a daemon about a guest's machine", () => {
  const own = '/opt/qemu/bin/qemu-system-x86_64';
  const text = (xml: string) => (): XdrWriter => new XdrWriter().string(xml);
  const known = text(`<capabilities><guest><arch name='x86_64'>
    <emulator>/usr/bin/qemu-system-x86_64</emulator><machine>pc-q35-7.2</machine>
    <domain type='kvm'/></arch></guest></capabilities>`);

  async function verdicts(
    t: TestContext,
    answers: Answers,
    machine: Partial<DomainFacts['machine']>,
    change: Partial<DomainFacts> = {},
  ): Promise<string[]> {
    const there = await daemon(t, answers);
    const given = facts({ tpm: undefined, firmware: undefined, ...change });
    const asked = { facts: { ...given, machine: { ...given.machine, ...machine } }, to: 'b' };
    const checks = await platformChecks({ ...asked, here: there, there }, signal);
    return checks.map(({ name, verdict, error }) => [name, verdict, error?.code].join(' ').trim());
  }

  test("the questions are about the guest's QEMU if it has a separate one, not the host's default", async (t) => {
    const newer = { type: 'pc-q35-9.2', emulator: own, cpu: undefined };
    const there = { 7: known, 342: text('<domainCapabilities/>') };
    assert.deepEqual(await verdicts(t, there, newer), ['machine pass']);
    assert.deepEqual(await verdicts(t, { 7: known, 342: () => 8 }, newer), ['machine warn']);
    const first = { ...newer, emulator: '/usr/bin/qemu-system-x86_64' };
    assert.deepEqual(await verdicts(t, there, first), [
      'accelerator pass',
      'machine refuse GODWIT_MACHINE_TYPE',
    ]);
  });

  test('a daemon that does not answer causes a warning', async (t) => {
    assert.deepEqual(await verdicts(t, { 7: () => 88 }, {}), ['machine warn']);
    assert.deepEqual(await verdicts(t, { 7: text('<none/>') }, {}), ['machine warn']);
  });

  test('an impossible processor is refused, and an unreported one causes a warning', async (t) => {
    const cpu = { name: 'cpu', attributes: { mode: 'custom' }, children: [], text: '' };
    const machine = { type: 'pc-q35-7.2', emulator: undefined, cpu };
    const machineOk = ['accelerator pass', 'machine pass'];
    for (const [code, said] of [
      [91, 'processor refuse GODWIT_CPU_FEATURE'],
      [8, 'processor warn'],
    ] as const) {
      const answers = { 7: known, 393: () => code };
      assert.deepEqual(await verdicts(t, answers, machine), [...machineOk, said]);
    }
    const unchecked = { ...cpu, attributes: { mode: 'custom', check: 'none' } };
    assert.deepEqual(await verdicts(t, { 7: known }, { ...machine, cpu: unchecked }), machineOk);
  });
});
