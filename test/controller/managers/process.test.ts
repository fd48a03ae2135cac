import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { AgentDirectory } from '../../../src/controller/managers/agent-directory.ts';
import { ManagerProcess } from '../../../src/controller/managers/process.ts';
import { silentLog } from '../../../src/log.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';

test("the log of a manager's agent is cut to its end, and keeps the previous agent's last reason", async (t) => {
  const place = new AgentDirectory(tempDir(t), 'vc1');
  mkdirSync(place.dir, { recursive: true });
  writeFileSync(place.log, `${'early\n'.repeat(1_000_000)}why it ended\n`);
  const managed = new ManagerProcess({
    place,
    prepare: () => Promise.resolve(),
    clock: systemClock,
    log: silentLog,
  });
  // Without a configuration the agent ends at once, and its log has the error.
  await untilSo(() => /why it ended\n[^]*agent\.json/.test(readFileSync(place.log, 'utf8')));
  await managed.close();
  assert.ok(statSync(place.log).size < 2 ** 21, String(statSync(place.log).size));
});
