import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hostProgram, librariesOf } from '../../../lab/image/program.ts';

const LDD = `\tlinux-vdso.so.1 (0x00007f8b6545b000)
\tlibsqlite3.so.0 => /lib/x86_64-linux-gnu/libsqlite3.so.0 (0x00007f8b6529e000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f8b65045000)
\tlibgone.so.1 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f8b6545d000)
`;

describe('a program for the guest', () => {
  test('a program for the guest brings its libraries by name, and its loader at the expected place', () => {
    assert.deepEqual(librariesOf(LDD), [
      { name: 'lib/libsqlite3.so.0', file: '/lib/x86_64-linux-gnu/libsqlite3.so.0' },
      { name: 'lib/libc.so.6', file: '/lib/x86_64-linux-gnu/libc.so.6' },
      { name: 'lib64/ld-linux-x86-64.so.2', file: '/lib64/ld-linux-x86-64.so.2' },
    ]);
    assert.deepEqual(librariesOf('\tnot a dynamic executable\n'), []);
  });

  test('a program for the guest is listed as files after their directories', async () => {
    const entries = await hostProgram('sh');
    const at = entries.findIndex(({ path }) => path === 'bin/sh');
    assert.ok(at >= 0);
    const directories = entries.flatMap((each, index) =>
      each.kind === 'directory' ? [index] : [],
    );
    assert.ok(directories.every((index) => index < at));
  });

  test('a missing program for the guest is named, with the package that has it', async () => {
    await assert.rejects(hostProgram('godwit-no-such-program'), {
      code: 'GODWIT_HOST_LACKS',
      message: /godwit-no-such-program/,
    });
  });
});
