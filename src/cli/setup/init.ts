import { existsSync } from 'node:fs';
import path from 'node:path';
import { initCa, issue, storeCredentials } from '../../pki/authority.ts';
import { RENEWED_DAYS } from '../../pki/issued.ts';
import { splitAddress } from '../../protocol/names.ts';
import { usage } from '../connection/credentials.ts';
import { OWN_PLACES } from '../connection/own-agent.ts';
import { makeStateDir, printDone, writeConfiguration } from './finish.ts';
import {
  checkAddress,
  checkHasNone,
  checkIsNew,
  chosenAddress,
  chosenName,
  chosenStorage,
} from './look-at-host.ts';
import type { initSpec } from './specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof initSpec> = async (input, context) => {
  const { flags } = input;
  if (flags.controller === true)
    return (await import('./init-controller.ts')).initController(input, context);
  for (const only of ['token', 'ca'] as const)
    if (flags[only] !== undefined)
      throw usage(`--${only} goes with --controller`, 'See `godwit init --help`.');
  const config = path.resolve(flags.config ?? OWN_PLACES.config);
  const stateDir = path.resolve(flags.stateDir ?? '/var/lib/godwit');
  checkIsNew(config);
  const name = chosenName(input.args.name);
  const address = chosenAddress(flags.address);
  const storage = chosenStorage(flags.storage);
  await checkAddress(config, address);
  const caDir = path.join(path.dirname(config), 'ca');
  const pkiDir = path.join(stateDir, 'pki');
  const nowMs = context.clock.wallMs();
  // Continues with the CA of an earlier attempt.
  if (!existsSync(path.join(caDir, 'ca.key'))) {
    checkHasNone(stateDir);
    await initCa(caDir, nowMs);
  }
  makeStateDir(stateDir);
  const { host } = splitAddress(address);
  // This host's agent will hold the CA and renew it.
  const asked = { caDir, name, role: 'agent', addresses: [host], days: RENEWED_DAYS } as const;
  storeCredentials(pkiDir, await issue(asked, nowMs));
  const created = writeConfiguration(config, { name, address, stateDir, caDir, storage });
  const done = { name, address, config, stateDir, isFirst: true, findings: [] };
  await printDone({ ...done, created: [caDir, pkiDir, ...created] }, context, input.json);
};
