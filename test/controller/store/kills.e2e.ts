import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { killWriters } from './kills.ts';

test('a database in SQLite survives two hundred kills in mid-write', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-kills-'));
  try {
    await killWriters(path.join(directory, 'store.db'), 200);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
