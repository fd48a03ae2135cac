import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { demo, labOf, namespacesLeft } from './support/demo-run.ts';
import { labDirectory } from '../../src/cli/connection/labs.ts';

const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

test(
  'the demo moves a container and back over one connection, and leaves nothing behind',
  {
    skip,
  },
  async () => {
    const ended = await demo(['--container', '--json', '--working-set', '32M']);
    const shown = `exit ${ended.code}\n${ended.stderr}\n${ended.stdout}`;
    assert.equal(ended.code, 0, shown);
    const result = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as {
      ok: boolean;
      leftBehind: string[];
      client: { oneConnection: boolean };
      migrations: { from: string; to: string; memoryVerified: boolean }[];
    };
    assert.ok(result.ok, shown);
    assert.ok(result.client.oneConnection, shown);
    assert.deepEqual(result.leftBehind, []);
    assert.deepEqual(
      result.migrations.map(({ from, to, memoryVerified }) => ({ from, to, memoryVerified })),
      [
        { from: 'a', to: 'b', memoryVerified: true },
        { from: 'b', to: 'a', memoryVerified: true },
      ],
    );
    assert.equal(existsSync(labDirectory(labOf(ended))), false);
    assert.equal(await namespacesLeft(labOf(ended)), false);
  },
);
