import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { securityLabels } from '../../../src/drivers/libvirt/security-labels.ts';
import { parseXml } from '../../../src/formats/xml.ts';

function labels(ofGuest: string, devices = ''): string[] {
  const root = parseXml(`<domain><devices>${devices}</devices>${ofGuest}</domain>`);
  assert.ok(root);
  return securityLabels(root).map(({ model, kind, device }) =>
    [model, kind, device].join(' ').trim(),
  );
}

describe("a guest's confinement", () => {
  test('the confinement has the models of its labels, whether libvirt or a person chose them', () => {
    const made = `<seclabel type='dynamic' model='apparmor' relabel='yes'><label>libvirt-1</label></seclabel>`;
    assert.deepEqual(labels(made), ['apparmor made']);
    const base = `<seclabel type='dynamic' model='selinux' relabel='yes'><baselabel>u:r:svirt_custom_t:s0</baselabel></seclabel>`;
    assert.deepEqual(labels(base), ['selinux made']);
    for (const relabel of ['yes', 'no']) {
      const chosen = `<seclabel type='static' model='selinux' relabel='${relabel}'><label>u:r:svirt_t:s0:c1,c2</label></seclabel>`;
      assert.deepEqual(labels(chosen), ['selinux fixed']);
    }
    assert.deepEqual(labels(`<seclabel type='none' model='selinux'/>`), ['selinux off']);
    assert.deepEqual(labels(''), []);
  });

  test("the confinement has users that a person chose, and not libvirt's, which libvirt leaves out", () => {
    const made = `<seclabel type='dynamic' model='dac' relabel='yes'><label>+64055:+64055</label></seclabel>`;
    assert.deepEqual(labels(made), []);
    const chosen = `<seclabel type='static' model='dac' relabel='no'><label>web:web</label></seclabel>`;
    assert.deepEqual(labels(chosen), ['dac fixed']);
  });

  test('the confinement has nothing without a model', () => {
    assert.deepEqual(labels(`<seclabel type='none'/><seclabel type='none' model='none'/>`), []);
  });

  test('the confinement includes labels of single disks and serial lines', () => {
    const disk = `<disk><source file='/a'><seclabel model='selinux' relabel='no'/></source><target dev='vda'/></disk>`;
    const skipped = `<disk><source file='/b'><seclabel model='apparmor' labelskip='yes'/></source><target dev='vdb'/></disk>`;
    const serial = `<serial type='file'><source path='/c'><seclabel model='dac' relabel='no'/></source><alias name='serial0'/></serial>`;
    const chosen = `<disk><source file='/f'><seclabel model='selinux' relabel='yes'><label>u:r:t:s0</label></seclabel></source><target dev='vdd'/></disk>`;
    const below = `<disk><source file='/d'/><backingStore><source file='/e'><seclabel model='selinux'/></source></backingStore><target dev='vdc'/></disk>`;
    assert.deepEqual(labels('', disk + skipped + serial + below + chosen), [
      'selinux off disk vda',
      'apparmor off disk vdb',
      'dac off serial serial0',
      'selinux fixed disk vdd',
    ]);
  });

  test('the confinement has a bounded number of labels, whatever their models are called', () => {
    const many = `<seclabel type='static' model='${'x'.repeat(200)}'/>`.repeat(200);
    const found = labels(many);
    assert.equal(found.length, 64);
    assert.equal(found[0], `${'x'.repeat(64)} fixed`);
  });
});
