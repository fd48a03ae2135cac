import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { LibvirtDriver, libvirtHandle } from '../../../src/drivers/libvirt/driver.ts';
import { libvirtOptions } from '../../../src/drivers/libvirt/options.ts';
import { toGodwitError } from '../../../src/errors.ts';
import { XdrWriter } from '../../../src/formats/xdr.ts';
import { fakeDaemon } from './support/fake-daemon.ts';

const UUID = '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001';
const RUNNING = 1;
const signal = AbortSignal.timeout(60_000);

/** The driver beside a daemon that runs one domain, of which it says this. */
async function driver(t: TestContext, xml: string, name = 'web1'): Promise<LibvirtDriver> {
  const domain = (out: XdrWriter): XdrWriter => out.string(name).uuid(UUID).int32(3);
  const socket = await fakeDaemon(t, {
    66: () => new XdrWriter().uint32(1).int32(0),
    1: () => new XdrWriter(),
    273: () => domain(new XdrWriter().uint32(1)).int32(1),
    24: () => domain(new XdrWriter()),
    14: () => new XdrWriter().string(xml),
    212: () => new XdrWriter().int32(RUNNING).int32(1),
    298: () => new XdrWriter().int32(0).uint32(0),
  });
  const uri = `qemu+unix:///system?socket=${socket}`;
  return new LibvirtDriver('a', libvirtOptions.parse({ uri }));
}

for (const [xml, why] of [
  ['<domain', /not well formed/],
  ['<network/>', /it is of <network>/],
  ['<domain type="kvm"><name>web1</name></domain>', /its <uuid> is none/],
] as const) {
  test(`a domain whose XML is ${xml} is listed with the reason, and refused with it`, async (t) => {
    const own = await driver(t, xml);
    const [listed] = await own.discover({ host: 'a', busy: new Set(), configured: [] }, signal);
    assert.equal(listed?.info.state, 'running');
    assert.match(listed.info.unmovable?.join() ?? '', why);
    const session = await own.openManaged(libvirtHandle('web1', UUID), signal);
    t.after(() => session.close());
    await assert.rejects(session.inspect(signal), (thrown) => {
      const { code, message, hint } = toGodwitError(thrown);
      assert.equal(code, 'GODWIT_PROTOCOL_INVALID');
      assert.match(message, why);
      assert.match(hint, /virsh dumpxml/);
      return true;
    });
  });
}

test('a domain whose name is invalid for hosts is known by a derived name', async (t) => {
  const own = await driver(t, '<network/>', 'my vm');
  const asked = { host: 'a', busy: new Set<string>(), configured: [] };
  const [all] = await own.discover(asked, signal);
  const name = all?.info.name ?? '';
  assert.match(name, /^my-vm-[0-9a-f]{8}$/);
  const [one, ...others] = await own.discover({ ...asked, only: name }, signal);
  assert.deepEqual([one?.info.name, one?.handle?.name, others.length], [name, name, 0]);
});
