import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { confined, sandboxWords } from '../../../../src/drivers/qemu/user/confine.ts';

describe('a QEMU that Godwit starts', () => {
  test('filters its own system calls, all that QEMU can', () => {
    const all = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';
    assert.deepEqual(sandboxWords({ objects: [] }), ['-sandbox', all]);
    const ring = { type: 'iothread' as const, id: 'io1', props: {} };
    assert.deepEqual(sandboxWords({ objects: [ring] }), ['-sandbox', all]);
  });

  test('may pin its threads where the guest has an object for that', () => {
    const pins = { type: 'thread-context' as const, id: 'tc', props: {} };
    assert.match(sandboxWords({ objects: [pins] })[1] ?? '', /spawn=deny,resourcecontrol=allow$/);
  });

  test('has its arguments as they are, after the end of those of setpriv', () => {
    const { file, argv } = confined({ file: '/usr/bin/qemu', argv: ['-name', '--reuid=0'] });
    assert.equal(file, 'setpriv');
    assert.deepEqual(argv.slice(argv.indexOf('--') + 1), ['/usr/bin/qemu', '-name', '--reuid=0']);
    assert.ok(argv.indexOf('--no-new-privs') < argv.indexOf('--'));
  });
});
