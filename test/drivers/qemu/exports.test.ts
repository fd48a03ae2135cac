import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { exportId, isExportId, reopenings } from '../../../src/drivers/qemu/exports.ts';
import type { Given } from '../../../src/drivers/qemu/spec/disk-options.ts';
import { blockdevWords } from '../../../src/drivers/qemu/spec/disks-argv.ts';
import type { BlockNode } from '../../../src/drivers/qemu/spec/disk-schema.ts';
import { blockNode as node } from './spec/samples.ts';

const argvOf = (...nodes: BlockNode[]): string[] => {
  const files = new Map(nodes.map((each) => [each.node, `/pool/${each.node}`]));
  return ['qemu', ...blockdevWords(nodes, files)];
};

const discards = (argv: readonly string[], names: string[], how: 'unmap' | 'as-given') =>
  reopenings(argv, new Set(names), how).map((each) => [each['node-name'], each['discard']]);

describe('a disk while it is filled', () => {
  test('makes holes of zeroes where it is raw, in its format and in its file', () => {
    const argv = argvOf(node('a'), node('b', { file: undefined }), node('c'));
    assert.deepEqual(discards(argv, ['a', 'b'], 'unmap'), [
      ['a-file', 'unmap'],
      ['a', 'unmap'],
      ['b', 'unmap'],
    ]);
  });

  test('is opened again as it was given, with every other setting as before', () => {
    const argv = argvOf(node('a', { fileDiscard: 'unmap' }));
    const [during] = reopenings(argv, new Set(['a']), 'unmap');
    const [after] = reopenings(argv, new Set(['a']), 'as-given');
    assert.ok(after !== undefined);
    const expected: Given = { ...during, discard: 'ignore' };
    assert.deepEqual(after, expected);
    assert.equal(after['file'], 'a-file');
    assert.deepEqual(after['cache'], { direct: true, 'no-flush': false });
  });

  test('stays as it is where it is qcow2, makes holes anyway, or is not copied', () => {
    const qcow2 = node('a', { format: 'qcow2' });
    const thin = node('b', { discard: 'unmap', fileDiscard: 'unmap' });
    const argv = argvOf(qcow2, thin, node('c'));
    assert.deepEqual(discards(argv, ['a', 'b'], 'unmap'), []);
    assert.deepEqual(discards(argv, [], 'as-given'), []);
  });

  test('is found on any command line, or there is none', () => {
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
          discards(argvOf(...nodes), asked, 'unmap'),
          found.flatMap(({ name }) => [
            [`${name}-file`, 'unmap'],
            [name, 'unmap'],
          ]),
        );
        for (const each of reopenings(noise, new Set(asked), 'unmap')) {
          assert.equal(each['discard'], 'unmap');
        }
      }),
    );
  });
});

test('an export has a name of Godwit’s, another for each node', () => {
  assert.ok(isExportId(exportId('vda')));
  assert.notEqual(exportId('vda'), exportId('vdb'));
  assert.ok(!isExportId('vda'));
});
