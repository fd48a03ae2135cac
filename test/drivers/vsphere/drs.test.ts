import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drsIn, maintenanceModeOf } from '../../../src/drivers/vsphere/drs.ts';
import { maintenanceMode } from '../../../src/protocol/public/hosts/managed-host.ts';
import { parseXml, type XmlElement } from '../../../src/formats/xml.ts';

/** As the vSphere Web Services API documents ClusterConfigInfoEx. */
const cluster = (level: string, more = '', own = ''): XmlElement =>
  parseXml(
    `<val><drsConfig><enabled>${level !== 'off'}</enabled>${more}<defaultVmBehavior>${level}</defaultVmBehavior></drsConfig>${own}</val>`,
  ) as XmlElement;
const own = (id: string, behavior: string, enabled = true): string =>
  `<drsVmConfig><key type="VirtualMachine">${id}</key><enabled>${enabled}</enabled><behavior>${behavior}</behavior></drsVmConfig>`;
const guests = [
  { id: 'vm-1', name: 'web1' },
  { id: 'vm-2', name: 'web2' },
];

const modeIn = (configuration: XmlElement | undefined) =>
  maintenanceModeOf(
    { name: 'C0', drs: configuration === undefined ? undefined : drsIn(configuration) },
    guests,
  );

test('only fully automated DRS moves the guests of a host that enters maintenance mode', () => {
  assert.deepEqual(modeIn(cluster('fullyAutomated')), {
    moves: 'manager',
    words: 'DRS of C0',
    leaves: [],
  });
  assert.equal(modeIn(cluster('manual')).words, 'DRS of C0 is manual');
  for (const level of ['manual', 'partiallyAutomated', 'off', '']) {
    assert.equal(modeIn(cluster(level)).moves, 'asker', level);
  }
  assert.equal(modeIn(undefined).moves, 'asker');
  assert.equal(maintenanceModeOf({ name: undefined, drs: undefined }, guests).moves, 'asker');
});

test('guests with a lower automation level, and guests that DRS ignores, are left to the caller', () => {
  const mixed = cluster(
    'fullyAutomated',
    '',
    own('vm-1', 'manual') + own('vm-2', 'fullyAutomated', false) + own('vm-9', 'manual'),
  );
  assert.deepEqual(modeIn(mixed).leaves, ['web1', 'web2']);
  const same = cluster('fullyAutomated', '', own('vm-1', 'fullyAutomated'));
  assert.deepEqual(modeIn(same).leaves, []);
});

test('levels of single guests do not count if the cluster ignores them', () => {
  const ignored = '<enableVmBehaviorOverrides>false</enableVmBehaviorOverrides>';
  assert.deepEqual(modeIn(cluster('fullyAutomated', ignored, own('vm-1', 'manual'))).leaves, []);
});

test('any names of clusters, guests and levels yield a valid answer', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (name, level, guest) => {
      const drs = { isOn: true, level: level.slice(0, 64), own: new Map([['vm-1', 'manual']]) };
      const made = maintenanceModeOf({ name, drs }, [{ id: 'vm-1', name: guest }]);
      assert.doesNotThrow(() => maintenanceMode.parse(made));
    }),
  );
});
