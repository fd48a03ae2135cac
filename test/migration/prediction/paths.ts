import assert from 'node:assert/strict';
import { decideDataPath } from '../../../src/migration/prediction/data-path.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';

/** A request that leaves the path to Godwit. */
export const ask = (given: object = {}) => migrationSettings.parse({ path: 'auto', ...given });

/** What is chosen where some path can be taken. */
export function pathOf(...args: Parameters<typeof decideDataPath>) {
  const choice = decideDataPath(...args);
  assert.ok(choice.takes !== 'neither');
  return choice;
}
