import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { anotherHandSuite } from './another-hand-suite.ts';
import { policySuite } from './suite.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'godwit-policy-'));
after(() => rmSync(directory, { recursive: true }));
let count = 0;

const make = () => Promise.resolve({ sqlite: path.join(directory, `policy-${(count += 1)}.db`) });
policySuite('SQLite', make);
anotherHandSuite('SQLite', make);
