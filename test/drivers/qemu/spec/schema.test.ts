import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { commandLine, factsOf } from './facts.ts';

const good = describeGuest(factsOf(commandLine('-nodefaults'))).spec;
const accepts = (change: object): boolean => guestSpec.safeParse({ ...good, ...change }).success;

describe('a description from a peer', () => {
  test('a valid description is accepted', () => {
    assert.ok(accepts({}));
  });

  test('a description may not name a file or a program of this host', () => {
    const device = (props: object): object => ({ devices: [{ driver: 'e1000', props }] });
    assert.ok(accepts(device({ romfile: '', mac: '52:54:00:00:00:01' })));
    assert.ok(!accepts(device({ romfile: '/etc/shadow' })));
    assert.ok(!accepts(device({ script: '/srv/x.sh' })));
    assert.ok(!accepts({ objects: [{ type: 'memory-backend-file', id: 'm', props: {} }] }));
    assert.ok(!accepts({ devices: [{ driver: 'usb-host', props: {} }] }));
    const seed = (filename: string): object => ({
      objects: [{ type: 'rng-random', id: 'r', props: { filename } }],
    });
    assert.ok(accepts(seed('/dev/urandom')));
    assert.ok(!accepts(seed('/etc/shadow')));
    assert.ok(!accepts({ machine: { type: 'q35', props: { firmware: '/etc/shadow' } } }));
    assert.ok(!accepts({ options: [{ name: 'smbios', value: 'type=11,path=/etc/shadow' }] }));
    assert.ok(!accepts({ options: [{ name: 'global', value: 'e1000.romfile=/etc/shadow' }] }));
    assert.ok(!accepts({ options: [{ name: 'drive', value: 'file=/dev/sda,if=none' }] }));
    assert.ok(!accepts({ options: [{ name: 'audiodev', value: 'wav,id=a,path=/etc/x' }] }));
    assert.ok(!accepts({ options: [{ name: 'chardev', value: 'null,id=x' }] }));
    assert.ok(!accepts({ chardevs: [{ id: 'c', backend: { kind: 'file', name: '../../x' } }] }));
    assert.ok(!accepts({ monitors: [{ kind: 'qmp', name: '.hidden' }] }));
    assert.ok(!accepts({ netdevs: [{ type: 'tap', id: 'n', ifname: 'eth0' }] }));
  });

  test('a description may not inject an option through a name', () => {
    assert.ok(!accepts({ devices: [{ driver: 'e1000', props: { 'a=b,c': 'x' } }] }));
    assert.ok(!accepts({ machine: { type: 'q35,kernel=x', props: {} } }));
    assert.ok(!accepts({ accelerator: { name: 'tcg', props: { thread: 'a,b' } } }));
  });

  test('any other text is refused without an exception', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        assert.ok(!guestSpec.safeParse(value).success);
      }),
    );
  });

  test('a description that is too large is refused', () => {
    const devices = Array.from({ length: 3000 }, () => ({ driver: 'e1000', props: {} }));
    assert.ok(!accepts({ devices }));
    assert.ok(!accepts({ append: 'x'.repeat(10_000) }));
  });
});
