import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { confined, sandboxWords } from '../../../../src/drivers/qemu/user/confine.ts';

describe('a QEMU that Godwit starts', () => {
  test('a QEMU filters its own system calls, all that QEMU can filter', () => {
    const all = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';
    assert.deepEqual(sandboxWords({ objects: [] }), ['-sandbox', all]);
    const ring = { type: 'iothread' as const, id: 'io1', props: {} };
    assert.deepEqual(sandboxWords({ objects: [ring] }), ['-sandbox', all]);
  });

  test('a QEMU may pin its threads if the guest has an object for that', () => {
    const pins = { type: 'thread-context' as const, id: 'tc', props: {} };
    assert.match(sandboxWords({ objects: [pins] })[1] ?? '', /spawn=deny,resourcecontrol=allow$/);
  });

  test('a QEMU is a user who has no capability and can gain none', () => {
    const { file, argv } = confined({ file: '/q', argv: ['-S'] }, { uid: 7, gid: 8, groups: [] });
    assert.equal(file, 'setpriv');
    assert.equal(
      argv.join(' '),
      '--no-new-privs --reuid=7 --regid=8 --clear-groups --inh-caps=-all --bounding-set=-all -- /q -S',
    );
    const more = confined({ file: '/q', argv: [] }, { uid: 7, gid: 8, groups: [9, 12] });
    assert.ok(more.argv.includes('--groups=9,12') && !more.argv.includes('--clear-groups'));
  });

  test('a QEMU can gain privileges only if it is an adopted one that could before', () => {
    const as = { uid: 7, gid: 8, groups: [], noNewPrivs: false };
    assert.ok(!confined({ file: '/q', argv: [] }, as).argv.includes('--no-new-privs'));
  });

  test('a QEMU gets its arguments unchanged, whatever they look like', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        const { argv } = confined({ file: '/usr/bin/qemu', argv: words });
        assert.deepEqual(argv, ['--no-new-privs', '--', '/usr/bin/qemu', ...words]);
      }),
    );
  });
});
