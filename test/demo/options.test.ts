import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HELP, parseOptions } from '../../demo/options.ts';
import { hasCode } from '../../src/errors.ts';

describe('the command line of the demo', () => {
  test('has defaults that suit a small machine', () => {
    assert.deepEqual(parseOptions([]), {
      memoryBytes: 512 * 1024 ** 2,
      workingSetBytes: 128 * 1024 ** 2,
      dirtyBytesPerSecond: 20 * 1024 ** 2,
      qemu: undefined,
      fleet: false,
      container: false,
      json: false,
      keep: false,
      help: false,
    });
  });

  test('takes sizes and rates as people type them', () => {
    const { memoryBytes, dirtyBytesPerSecond, qemu } = parseOptions([
      '--memory=1G',
      '--dirty',
      '80mbit',
      '--qemu',
      '7.2',
    ]);
    assert.deepEqual(
      { memoryBytes, dirtyBytesPerSecond, qemu },
      { memoryBytes: 1024 ** 3, dirtyBytesPerSecond: 10_000_000, qemu: '7.2' },
    );
  });

  test('takes its switches in any order', () => {
    const { json, keep, help } = parseOptions(['--keep', '--json', '-h']);
    assert.deepEqual({ json, keep, help }, { json: true, keep: true, help: true });
  });

  test('has smaller guests where there are six of them', () => {
    const { fleet, memoryBytes, dirtyBytesPerSecond } = parseOptions(['--fleet', '--dirty', '1M']);
    assert.deepEqual(
      { fleet, memoryBytes, dirtyBytesPerSecond },
      { fleet: true, memoryBytes: 192 * 1024 ** 2, dirtyBytesPerSecond: 1024 ** 2 },
    );
  });

  const refused = (argv: string[], message: RegExp, hint: RegExp): void => {
    assert.throws(
      () => parseOptions(argv),
      (error) =>
        hasCode(error, 'GODWIT_USAGE') && message.test(error.message) && hint.test(error.hint),
    );
  };

  test('has a small container, which has no memory of its own', () => {
    const { container, workingSetBytes } = parseOptions(['--container']);
    assert.deepEqual(
      { container, workingSetBytes },
      { container: true, workingSetBytes: 64 * 1024 ** 2 },
    );
    refused(['--container', '--qemu', '7.2'], /--qemu is of virtual machines/, /one of the two/);
    refused(['--container', '--fleet'], /--fleet is of virtual machines/, /one of the two/);
  });
  test('suggests the nearest option', () => refused(['--kep'], /no option --kep/, /--keep/));
  test('names the option whose value is wrong', () =>
    refused(['--memory', '5x'], /--memory: "5x" is not a size/, /512M/));
  test('refuses a value that is missing', () => refused(['--dirty'], /--dirty/, /--help/));
  test('refuses words without an option', () => refused(['fast'], /fast/, /--help/));

  test('has a help that names every option', () => {
    for (const name of 'fleet memory working-set dirty qemu json keep help'.split(' ')) {
      assert.match(HELP, new RegExp(`--${name}\\b`));
    }
  });
});
