import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { VsphereFault, knownVersion } from '../../../src/drivers/vsphere/client.ts';
import { giveOrder } from '../../../src/drivers/vsphere/order.ts';
import { HostsByName } from '../../../src/drivers/vsphere/places.ts';
import { InventoryLists } from '../../../src/drivers/vsphere/inventory.ts';
import { markText, parseMark, type Mark } from '../../../src/drivers/vsphere/mark.ts';
import { hostNameOf, unescapedName } from '../../../src/drivers/vsphere/names.ts';
import { vsphereOptions } from '../../../src/drivers/vsphere/options.ts';
import type { Change } from '../../../src/drivers/vsphere/soap.ts';
import {
  isMoving,
  isOrderFor,
  orderedSince,
  sightOf,
  taskIn,
  type Task,
} from '../../../src/drivers/vsphere/task.ts';
import { hostName } from '../../../src/protocol/names.ts';
import { parseXml, type XmlElement } from '../../../src/formats/xml.ts';

const element = (xml: string): XmlElement => parseXml(xml) as XmlElement;

function content(version: string, kind = 'VirtualCenter'): XmlElement {
  return element(
    `<returnval><about><name>VMware vCenter Server</name><apiVersion>${version}</apiVersion><apiType>${kind}</apiType></about></returnval>`,
  );
}

describe('a vCenter', () => {
  test('a vCenter of a known version has its name', () => {
    for (const version of ['6.5', '6.5.0', '6.7.3', '7.0.3.0', '8.0.2.0']) {
      assert.equal(knownVersion(content(version), 'vc').version, version);
    }
  });

  test('a vCenter of another version, an ESXi host and an empty answer are refused by name', () => {
    const refused = { code: 'GODWIT_MANAGER_VERSION' };
    for (const version of ['6.0', '9.0.0.0', '', '8', 'x']) {
      assert.throws(() => knownVersion(content(version), 'vc'), refused, version);
    }
    assert.throws(() => knownVersion(content('8.0.2', 'HostAgent'), 'vc'), refused);
    assert.throws(() => knownVersion(undefined, 'vc'), refused);
  });
});

describe('options of a vCenter', () => {
  const given = { url: 'https://vc1', user: 'u', passwordFile: '/p' };

  test('the options accept a fingerprint with and without colons, and only HTTPS', () => {
    const hex = 'ab'.repeat(32);
    const colons = hex.toUpperCase().replaceAll(/(..)(?=.)/g, '$1:');
    assert.equal(vsphereOptions.parse({ ...given, fingerprint: colons }).fingerprint, hex);
    assert.equal(vsphereOptions.safeParse({ ...given, fingerprint: 'ab' }).success, false);
    for (const url of ['http://vc1', 'vc1', 'https://user:password@vc1']) {
      assert.equal(vsphereOptions.safeParse({ ...given, url }).success, false);
    }
  });
});

describe('names', () => {
  test("the names of hosts become Godwit's names, or the configured ones", () => {
    assert.equal(hostNameOf('esx1.example.com', {}), 'esx1-example-com');
    assert.equal(hostNameOf('10.0.0.1', {}), '10-0-0-1');
    assert.equal(hostNameOf('esx1.example.com', { one: 'esx1.example.com' }), 'one');
    assert.equal(hostNameOf('...', {}), undefined);
    fc.assert(
      fc.property(fc.string(), (name) => {
        const made = hostNameOf(name, {});
        assert.ok(made === undefined || hostName.safeParse(made).success);
      }),
    );
  });

  test('the names of objects are read as a person wrote them', () => {
    assert.equal(unescapedName('a%2fb%25%5c'), 'a/b%\\');
  });
});

describe('a mark', () => {
  test('a mark comes back as it was, and no other text is one', () => {
    const mark = { id: 'm-00000001', since: '2026-01-01T00:00:00.000Z' };
    assert.deepEqual(parseMark(markText(mark)), mark);
    const whole = { ...mark, task: 'task-7' };
    assert.deepEqual(parseMark(markText(whole)), whole);
    for (const text of [undefined, '', 'm-00000001', 'm-00000001 task-1 yesterday', 'x y z']) {
      assert.equal(parseMark(text), undefined);
    }
    fc.assert(fc.property(fc.string(), (text) => void parseMark(text)));
  });
});

function task(given: Partial<Task>): Task {
  return {
    ref: { type: 'Task', value: 'task-1' },
    state: 'running',
    kind: 'VirtualMachine.relocate',
    entity: { type: 'VirtualMachine', value: 'vm-1' },
    queuedMs: 1000,
    percent: undefined,
    fault: undefined,
    result: undefined,
    ...given,
  };
}

describe('a task', () => {
  test('the ordered task is the first relocation since the mark, and never one of DRS', () => {
    const drs = task({ kind: 'Drm.ExecuteVMotionLRO', queuedMs: 900 });
    const [before, first, second] = [500, 1000, 2000].map((queuedMs) => task({ queuedMs }));
    assert.ok(before !== undefined && first !== undefined && second !== undefined);
    assert.equal(orderedSince([drs, second, first, before], 800), first);
    assert.equal(orderedSince([drs, before], 800), undefined);
    assert.equal(isMoving(drs), true);
    assert.equal(isMoving(task({ state: 'success' })), false);
  });

  test("a task of another guest or kind is not this guest's order, whatever a mark names", () => {
    const info = (vm: string, kind: string): Task => {
      const entity = `<entity type="VirtualMachine">${vm}</entity>`;
      const said = `<val><state>running</state><descriptionId>${kind}</descriptionId>${entity}</val>`;
      const properties = new Map([['info', element(said)]]);
      return taskIn({ ref: { type: 'Task', value: 'task-9' }, properties }) as Task;
    };
    const guest = { type: 'VirtualMachine', value: 'vm-1' };
    assert.equal(isOrderFor(guest, info('vm-1', 'VirtualMachine.relocate')), true);
    assert.equal(isOrderFor(guest, info('vm-2', 'VirtualMachine.relocate')), false);
    assert.equal(isOrderFor(guest, info('vm-1', 'VirtualMachine.powerOff')), false);
  });

  test('a task is cancelled only if vSphere reports it, and has no figures', () => {
    const fault = (type: string) => ({ type, message: '', detail: element('<a/>') });
    const ended = (type: string): string =>
      sightOf(task({ state: 'error', fault: fault(type) })).state;
    assert.equal(ended('RequestCanceled'), 'cancelled');
    assert.equal(ended('GenericVmConfigFault'), 'failed');
    assert.deepEqual(sightOf(task({ state: 'success' })), { state: 'done' });
    // What nobody knows has not ended.
    assert.equal(sightOf(task({ state: 'unknown' })).state, 'running');
  });
});

describe('refused orders', () => {
  const order = { id: 'm-00000002', guest: 'web1', from: 'esx1', to: 'esx2' };

  /** The mark at the guest afterwards; another order's may have been written before the refusal. */
  async function left(written: string | undefined): Promise<string> {
    let mark = 'older';
    const refuse = async (): Promise<never> => {
      mark = written ?? mark;
      const detail = element('<a/>');
      throw new VsphereFault('RelocateVM_Task', { type: 'TaskInProgress', message: '', detail });
    };
    const host = { type: 'HostSystem', value: 'host-2' };
    const properties = new Map([['name', element('<val>esx2</val>')]]);
    const seen = async (): Promise<unknown[]> => [{ ref: host, properties }];
    const sight = { tasks: [], isMovable: true };
    const client = { all: seen, retrieve: seen, callForRef: refuse };
    const guest = {
      ref: { type: 'VirtualMachine', value: 'vm-1' },
      client,
      hosts: new HostsByName(client as never, { hosts: {} }),
      needed: async () => sight,
      sight: async () => sight,
      tasks: async () => [],
      now: async () => '2026-01-01T00:00:00.000Z',
      markText: async () => mark,
      mark: async (_: unknown, id: string) => {
        const found = parseMark(mark);
        return found?.id === id ? found : undefined;
      },
      setMark: async (given: Mark) => void (mark = markText(given)),
      setMarkText: async (given: string) => void (mark = given),
      refused: (what: string) => new Error(what),
    };
    const given = giveOrder(guest as never, order as never, AbortSignal.timeout(1000));
    await assert.rejects(given, /RelocateVM_Task/);
    return mark;
  }

  test("a refused order leaves the previous mark, and never removes another order's mark", async () => {
    assert.equal(await left(undefined), 'older');
    const other = markText({ id: 'm-00000001', since: '2026-01-01T00:00:00.000Z', task: 'task-1' });
    assert.equal(await left(other), other);
  });
});

function change(type: string, value: string, given: Record<string, string>): Change {
  const properties = new Map(
    Object.entries(given).map(([name, text]) => [
      name,
      name === 'runtime.host'
        ? element(`<val type="HostSystem">${text}</val>`)
        : element(`<val>${text}</val>`),
    ]),
  );
  return { ref: { type, value }, kind: 'modify', properties };
}

describe('the inventory of a vCenter', () => {
  const guest = {
    name: 'web1',
    'runtime.host': 'host-1',
    'runtime.powerState': 'poweredOn',
    'runtime.connectionState': 'connected',
    'summary.config.instanceUuid': 'i-1',
  };
  const lists = (): InventoryLists => {
    const made = new InventoryLists({});
    made.apply([
      change('HostSystem', 'host-1', { name: 'esx1.a' }),
      change('VirtualMachine', 'vm-1', guest),
    ]);
    return made;
  };

  test('the inventory follows changes, and forgets removed objects', () => {
    const made = lists();
    assert.deepEqual(
      made.guests().map(({ name, host, state }) => [name, host, state]),
      [['web1', 'esx1-a', 'running']],
    );
    const before = made.revision;
    made.apply([change('VirtualMachine', 'vm-1', { 'runtime.connectionState': 'disconnected' })]);
    assert.equal(made.guests()[0]?.state, 'unknown');
    assert.ok(made.revision > before);
    made.apply([{ ...change('VirtualMachine', 'vm-1', {}), kind: 'leave' }]);
    assert.deepEqual(made.guests(), []);
  });

  test('the inventory marks two guests of one name, and names no host that two would share', () => {
    const made = lists();
    made.apply([
      change('VirtualMachine', 'vm-2', guest),
      change('VirtualMachine', 'vm-3', { ...guest, name: 'other', 'runtime.host': 'host-2' }),
      change('HostSystem', 'host-2', { name: 'ESX1-A' }),
    ]);
    const all = made.guests();
    assert.deepEqual(
      all.map(({ isNamesake }) => isNamesake),
      [true, true, false],
    );
    assert.deepEqual(
      all.map(({ host }) => host),
      [undefined, undefined, undefined],
    );
  });

  test('the inventory leaves templates out', () => {
    const made = lists();
    made.apply([change('VirtualMachine', 'vm-1', { 'summary.config.template': 'true' })]);
    assert.deepEqual(made.guests(), []);
  });
});
