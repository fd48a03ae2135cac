import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  asGiven,
  exportId,
  isExportId,
  isUneven,
  whileFilled,
} from '../../../../src/drivers/qemu/images/exports.ts';
import type { DriveOptions } from '../../../../src/drivers/qemu/spec/disks/disk-options.ts';
import { blockdevWords } from '../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import type { BlockNode } from '../../../../src/drivers/qemu/spec/disks/disk-schema.ts';
import { blockNode as node } from '../spec/samples.ts';

const argvOf = (...nodes: BlockNode[]): string[] => {
  const files = new Map(nodes.map((each) => [each.node, `/pool/${each.node}`]));
  return ['qemu', ...blockdevWords(nodes, files)];
};

const discards = (argv: readonly string[], names: string[], how = whileFilled) =>
  how(argv, { nodes: new Set(names) }).map((each) => [each['node-name'], each['discard']]);

describe('a disk during its copy', () => {
  test('a raw disk makes holes of zeroes, in its format and in its file', () => {
    const argv = argvOf(node('a'), node('b', { file: undefined }), node('c'));
    assert.deepEqual(discards(argv, ['a', 'b']), [
      ['a-file', 'unmap'],
      ['a', 'unmap'],
      ['b', 'unmap'],
    ]);
  });

  test('a disk is opened again as it was given, with every other setting unchanged', () => {
    const argv = argvOf(node('a', { fileDiscard: 'unmap' }));
    const [during] = whileFilled(argv, { nodes: new Set(['a']) });
    const [after] = asGiven(argv, { nodes: new Set(['a']) });
    assert.ok(after !== undefined);
    const expected: DriveOptions = { ...during, discard: 'ignore' };
    assert.deepEqual(after, expected);
    assert.equal(after['file'], 'a-file');
    assert.deepEqual(after['cache'], { direct: true, 'no-flush': false });
  });

  test('a disk stays as it is if it is qcow2, makes holes anyway, or is not copied', () => {
    const qcow2 = node('a', { format: 'qcow2' });
    const thin = node('b', { discard: 'unmap', fileDiscard: 'unmap' });
    const argv = argvOf(qcow2, thin, node('c'));
    assert.deepEqual(discards(argv, ['a', 'b']), []);
    assert.deepEqual(discards(argv, [], asGiven), []);
  });

  test('a disk of uneven size, and no other, is written through the page cache', () => {
    const even = node('a', { discard: 'unmap', fileDiscard: 'unmap' });
    const plain = node('c', { file: undefined, aio: 'native' });
    const argv = argvOf(even, node('b', { aio: 'native' }), plain, node('d', { format: 'qcow2' }));
    const nodes = new Set(['a', 'b', 'c', 'd']);
    const how = (each: DriveOptions): unknown => [each['node-name'], each['cache'], each['aio']];
    const [direct, cached] = [true, false].map((on) => ({ direct: on, 'no-flush': false }));
    const asked = { nodes, uneven: new Set(['b', 'c', 'd']) };
    assert.deepEqual(whileFilled(argv, asked).map(how), [
      ['b-file', cached, 'threads'],
      ['b', direct, undefined],
      ['c', cached, 'threads'],
    ]);
    assert.deepEqual(asGiven(argv, asked).map(how), [
      ['b-file', direct, 'native'],
      ['b', direct, undefined],
      ['c', direct, 'native'],
    ]);
    assert.deepEqual([4096, 4608, 67_109_376].map(isUneven), [false, true, true]);
  });

  test('a disk is found on any command line, or reported missing', () => {
    const images = fc.uniqueArray(
      fc.record({
        name: fc.stringMatching(/^[a-z][a-z0-9]{0,4}$/),
        isRaw: fc.boolean(),
        isThin: fc.boolean(),
        isAsked: fc.boolean(),
      }),
      { maxLength: 6, selector: ({ name }) => name },
    );
    fc.assert(
      fc.property(images, fc.array(fc.string()), (list, noise) => {
        const nodes = list.map(({ name, isRaw, isThin }) => {
          const discard = isThin ? 'unmap' : 'ignore';
          const format = isRaw ? 'raw' : 'qcow2';
          return node(name, { format, discard, fileDiscard: discard });
        });
        const asked = list.filter(({ isAsked }) => isAsked).map(({ name }) => name);
        const found = list.filter(({ isRaw, isThin, isAsked }) => isRaw && !isThin && isAsked);
        assert.deepEqual(
          discards(argvOf(...nodes), asked),
          found.flatMap(({ name }) => [
            [`${name}-file`, 'unmap'],
            [name, 'unmap'],
          ]),
        );
        for (const each of whileFilled(noise, { nodes: new Set(asked) })) {
          assert.equal(each['discard'], 'unmap');
        }
      }),
    );
  });
});

test("an export has a name of Godwit's, a different one for each node", () => {
  assert.ok(isExportId(exportId('vda')));
  assert.notEqual(exportId('vda'), exportId('vdb'));
  assert.ok(!isExportId('vda'));
});
