import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { coldArguments, whyNotAgain } from '../../../../src/drivers/qemu/process/relaunch.ts';

describe('the command line that restarts a lost guest', () => {
  test('the command line is the original one, without the options for an arriving guest', () => {
    const argv = ['-name', 'web1', '-S', '-incoming', 'defer', '-m', '64', '--daemonize'];
    assert.deepEqual(coldArguments(argv), ['-name', 'web1', '-m', '64']);
    assert.deepEqual(coldArguments(['-loadvm', 'yesterday', '-m', '64']), ['-m', '64']);
  });

  test('the command line keeps every other word, in order', () => {
    const word = fc.string({ minLength: 1 }).filter((text) => !text.startsWith('-'));
    const pair = fc.tuple(fc.constantFrom('-m', '-smp', '-netdev', '-device', '--name'), word);
    fc.assert(
      fc.property(fc.array(pair), (pairs) => {
        const argv = pairs.flat();
        assert.deepEqual(coldArguments(argv), argv);
        assert.deepEqual(coldArguments(['-S', ...argv, '-incoming', 'defer']), argv);
        assert.deepEqual(coldArguments(coldArguments(argv)), argv);
      }),
    );
  });

  test("the command line is useless if QEMU's parent passed files, rights or a terminal", () => {
    const why = (...argv: string[]): string => whyNotAgain(argv) ?? '';
    assert.match(why('-netdev', 'tap,id=n,fd=3'), /open files/);
    assert.match(why('-netdev', 'tap,id=n,vhostfds=3:4'), /open files/);
    assert.match(why('-drive', 'file=/dev/fdset/2'), /open files/);
    assert.match(why('-netdev', 'stream,id=n,addr.type=fd,addr.str=3'), /open files/);
    assert.match(why('-netdev', '{"type":"stream","addr":{"type":"fd","str":"3"}}'), /open files/);
    assert.match(why('-blockdev', 'driver=file,node-name=n,filename=/dev/fd/3'), /open files/);
    // Left out of a start from nothing, and for the guest's kernel alone.
    assert.equal(whyNotAgain(['-incoming', 'fd:25', '-append', 'fd=1']), undefined);
    assert.match(why('-netdev', '{"type":"tap","id":"n","fd":"32","vhostfd":"33"}'), /open files/);
    assert.match(why('-add-fd', 'set=2'), /rights or files/);
    assert.match(why('-runas', 'nobody'), /rights or files/);
    assert.match(why('-serial', 'mon:stdio'), /terminal/);
    assert.match(why('-nographic'), /terminal/);
    assert.match(why('-tpmdev', 'emulator,id=t,chardev=c'), /TPM/);
    assert.equal(whyNotAgain(['-netdev', 'tap,id=n,ifname=t0', '-serial', 'chardev:s']), undefined);
  });

  test('the command line is usable whatever the address of a network card', () => {
    const byte = fc.integer({ min: 0, max: 255 }).map((each) => each.toString(16).padStart(2, '0'));
    const mac = fc.array(fc.oneof(byte, fc.constant('fd')), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(mac, (bytes) => {
        const device = `virtio-net-pci,id=nic0,netdev=net0,mac=${bytes.join(':')},romfile=`;
        assert.equal(whyNotAgain(['-device', device]), undefined);
      }),
    );
  });
});
