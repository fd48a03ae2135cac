import assert from 'node:assert/strict';
import type { Trial } from './trial.ts';
import { granted } from '../migration/permission/granted.ts';

/** A guest whose memory was lost is started anew: once, however often it is asked for, and it runs. */
export async function startsAnew(trial: Trial): Promise<void> {
  const { source: driver } = trial.place;
  const session = await trial.openSource();
  assert.ok(session.launch !== undefined && driver.relaunch !== undefined);
  const launch = await session.launch(trial.signal);
  const old = session.handle;
  await session.quit(trial.signal);
  const started = await driver.relaunch(old, launch, granted(old.name), trial.signal);
  assert.ok(!driver.isSame(started, old) && driver.isSame(started, started));
  assert.deepEqual(await driver.relaunch(old, launch, granted(old.name), trial.signal), started);
  const anew = await driver.openSource(started, trial.signal);
  try {
    assert.equal((await anew.status(trial.signal)).run, 'running');
  } finally {
    await anew.quit(trial.signal);
    await anew.close();
  }
}
