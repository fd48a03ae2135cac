import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatNfs, isNfs, nfsUrl, parseNfs } from '../../src/protocol/nfs-url.ts';

describe('an NFS path', () => {
  test("an NFS path is read in QEMU's format, with its user", () => {
    const plain = { host: '10.0.0.5', path: '/srv/vm/web 1.qcow2' };
    assert.deepEqual(parseNfs('nfs://10.0.0.5/srv/vm/web 1.qcow2'), plain);
    const text = 'nfs://10.0.0.5/srv/vm/web 1.qcow2?uid=64055&gid=0';
    assert.deepEqual(parseNfs(text), { ...plain, user: 64_055, group: 0 });
    assert.equal(isNfs(text), true);
    assert.equal(isNfs('/srv/nfs://x'), false);
  });

  test('an NFS path needs a server and a path, and never leaves its export', () => {
    const bad = [
      '/srv',
      'nfs://',
      'nfs://h',
      'nfs://h/',
      'nfs:///srv',
      'nfs://h//srv',
      'nfs://h/a/',
    ];
    bad.push('nfs://h/../etc', 'nfs://h/a/..', 'nfs://h/a/./b', 'nfs://-h/a', 'nfs://h:2049/a');
    bad.push('json:{"driver":"nfs"}', 'nfs://h/a\0b', 'nfs://h/..?uid=0');
    for (const text of bad) {
      assert.equal(parseNfs(text), undefined, text);
      assert.equal(nfsUrl.safeParse(text).success, false, text);
    }
    assert.equal(nfsUrl.safeParse('nfs://h/a?uid=0').success, false);
    assert.equal(nfsUrl.safeParse('nfs://filer-1.example/srv/..vm').success, true);
  });

  test('an NFS path is unchanged after a round trip', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9 _%#:-][A-Za-z0-9 ._%#:-]{0,20}$/);
    const id = fc.integer({ min: 0, max: 0xffff_fffe });
    const some = fc.record(
      { path: fc.array(segment, { minLength: 1, maxLength: 5 }), user: id, group: id },
      { requiredKeys: ['path'] },
    );
    fc.assert(
      fc.property(some, ({ path, ...ids }) => {
        const place = { host: 'filer', path: `/${path.join('/')}`, ...ids };
        assert.deepEqual(parseNfs(formatNfs(place)), place);
      }),
    );
  });

  test('an NFS path is never made from invalid input', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const place = parseNfs(`nfs://${text}`);
        assert.ok(place === undefined || !place.path.split('/').includes('..'));
      }),
    );
  });
});
