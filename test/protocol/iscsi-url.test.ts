import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  formatIscsi,
  iscsiTargetUrl,
  parseIscsi,
  parseIscsiTarget,
} from '../../src/protocol/iscsi-url.ts';

const TARGET = 'iqn.2001-04.com.example:storage.vm';

describe('an iSCSI LUN', () => {
  test("an iSCSI LUN is read in QEMU's format, with the standard port by default", () => {
    const plain = { host: '10.0.0.5', port: 3260, target: TARGET, lun: 7 };
    assert.deepEqual(parseIscsi(`iscsi://10.0.0.5/${TARGET}/7`), plain);
    assert.deepEqual(parseIscsi(`iscsi://10.0.0.5:860/${TARGET}/7`), { ...plain, port: 860 });
    const six = parseIscsi(`iscsi://[fd00::5]:3260/${TARGET}/0`);
    assert.deepEqual(six, { ...plain, host: '[fd00::5]', lun: 0 });
    const { lun: _lun, ...target } = plain;
    assert.deepEqual(parseIscsiTarget(`iscsi://10.0.0.5/${TARGET}`), target);
  });

  test('an iSCSI URL without a target name, or with an impossible number, is not a LUN', () => {
    const bad = ['/dev/sda', 'iscsi://h', `iscsi:///${TARGET}/1`, 'iscsi://h/other/1'];
    bad.push(`iscsi://h/${TARGET}`, `iscsi://h/${TARGET}/x`, `iscsi://h/${TARGET}/65536`);
    bad.push(
      `iscsi://me%secret@h/${TARGET}/1`,
      `iscsi://h/${TARGET}/../1`,
      `iscsi://-h/${TARGET}/1`,
    );
    for (const text of bad) assert.equal(parseIscsi(text), undefined, text);
    assert.equal(iscsiTargetUrl.safeParse(`iscsi://filer/${TARGET}`).success, true);
    assert.equal(iscsiTargetUrl.safeParse(`iscsi://filer/${TARGET}/1`).success, false);
    assert.equal(iscsiTargetUrl.safeParse(`iscsi://me%pw@filer/${TARGET}`).success, false);
  });

  test('an iSCSI LUN is unchanged after a round trip', () => {
    const name = fc.stringMatching(/^iqn\.[a-z0-9.:-]{1,40}$/);
    const some = fc.record(
      {
        host: fc.constantFrom('10.0.0.5', 'filer-1.example', '[fd00::1]'),
        port: fc.integer({ min: 0, max: 65_535 }),
        target: name,
        lun: fc.integer({ min: 0, max: 0xffff }),
        initiator: name,
      },
      { requiredKeys: ['host', 'port', 'target', 'lun'], noNullPrototype: true },
    );
    fc.assert(
      fc.property(some, (place) => {
        assert.deepEqual(parseIscsi(formatIscsi(place)), place);
      }),
    );
  });
});
