import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import { hintFor } from '../../../../src/drivers/qemu/spec/hints.ts';
import { commandLine, factsOf } from './facts.ts';

/** Of a command line, each with a word of the hint that its first finding gets. */
const CASES: readonly (readonly [line: string, hint: RegExp])[] = [
  ['-net nic -net tap,ifname=tap0', /`-nic`/],
  ['-fw_cfg name=opt/x,file=/etc/x', /without it/],
  ['-virtfs local,path=/srv,mount_tag=t,security_model=none', /without it/],
  ['-netdev tap,id=n0,ifname=tap9 -device e1000,netdev=n0', /master BRIDGE/],
  ['-netdev socket,id=n0,udp=127.0.0.1:1 -device e1000,netdev=n0', /a tap in a bridge/],
  ['-device isa-serial,chardev=c -chardev socket,id=c,host=h,port=1', /unix socket/],
  ['-device vfio-pci,host=01:00.0,id=gpu', /--unplug/],
  ['-device usb-host,hostbus=1,hostaddr=2', /--unplug/],
  ['-device nvme,serial=a,id=n', /virtio-blk/],
  ['-device virtio-9p-pci,fsdev=f,mount_tag=t', /once the guest has unmounted it/],
];

describe('hints for obstacles', () => {
  for (const [line, hint] of CASES) {
    test(`the hint fits the obstacle: ${line}`, () => {
      const { findings } = describeGuest(factsOf(commandLine(`-nodefaults ${line}`)));
      const first = findings.find(({ kind }) => kind === 'unmovable');
      assert.ok(first !== undefined);
      assert.match(hintFor(first) ?? '', hint);
    });
  }

  test('the hint of a disk fits its obstacle, and a local disk needs no separate hint', () => {
    const of = (reason: string) =>
      hintFor({ kind: 'disk', device: 'd0', type: '/srv/a', reason }) ?? '';
    assert.match(of('it is reached through `vmdk`'), /qemu-img convert/);
    assert.match(of('it is reached through `null-co`'), /Detach/);
    assert.match(of('its changes are temporary'), /snapshot=on/);
    assert.match(of('how it was opened is not on the command line'), /blockdev-add/);
    assert.match(of('it is reached by iSER, which Godwit does not speak'), /TCP/);
    assert.equal(of('it lies on this host alone'), '');
  });
});
