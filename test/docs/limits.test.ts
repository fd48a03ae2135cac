import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEFAULT_LIMITS, type ShareLimit } from '../../src/rpc/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

function bytes(value: number): string {
  if (value === 0) return '0';
  return value >= MIB ? `${value / MIB} MiB` : `${value / KIB} KiB`;
}

const pair = ({ each, all }: ShareLimit, say: (value: number) => string = String): string =>
  `${say(each)}, ${say(all)}`;

test('docs/limits.md has the present share of each kind of caller', () => {
  const text = readFileSync('docs/limits.md', 'utf8');
  for (const [circle, share] of Object.entries(DEFAULT_LIMITS.shares)) {
    const { connections, requests, waiting, streams, bodyBytes, bodyMs } = share;
    const held = circle === 'join' ? 'those of strangers' : pair(connections);
    const cells = [held, pair(requests), pair(waiting), pair(streams), pair(bodyBytes, bytes)];
    const row = `| ${circle} | ${cells.join(' | ')} | ${bodyMs / 1000} s |`;
    assert.ok(text.includes(row), `a row \`${row}\``);
  }
  const { burst, perS } = DEFAULT_LIMITS.handshakes;
  assert.ok(text.includes(`${burst} at once from one address, and ${perS} a second`));
  assert.ok(text.includes(`at most ${DEFAULT_LIMITS.waitMs / 1000} s`));
});
