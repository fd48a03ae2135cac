import { existsSync } from 'node:fs';
import path from 'node:path';
import { join, type JoinResult } from '../../pki/join.ts';
import { parseToken } from '../../pki/token.ts';
import { loadAgentConfig } from '../../config.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import { pkiDirOf } from '../../host/fleet.ts';
import { splitAddress } from '../../protocol/names.ts';
import type { Finding } from '../doctor/facts.ts';
import { givenToken } from './given-token.ts';
import { makeStateDir, printDone, writeConfiguration } from './finish.ts';
import {
  checkAddress,
  checkHasNone,
  chosenAddress,
  chosenStorage,
  hereCalled,
} from './look-at-host.ts';
import type { joinSpec } from './specs.ts';
import type { Run } from '../verb.ts';

/** A larger difference of clocks is reported. Certificates and the order of events in two journals depend on clocks. */
const CLOCK_MS = 5000;

/** Joins a host to a fleet. Checks everything possible before the token is used up. */
export const run: Run<typeof joinSpec> = async (input, context) => {
  const { flags, args } = input;
  const config = path.resolve(flags.config ?? '');
  const token = await givenToken(args.token, context, 'godwit join');
  const { name, address: ca } = parseToken(token);
  const kept = existsSync(config) ? keptConfiguration(config, name) : undefined;
  const stateDir = kept?.stateDir ?? path.resolve(flags.stateDir ?? '');
  const storage = chosenStorage(flags.storage);
  const pkiDir = kept === undefined ? path.join(stateDir, 'pki') : pkiDirOf(kept);
  if (kept === undefined) {
    checkHasNone(stateDir);
    makeStateDir(stateDir);
  }
  const joined = await join(token, pkiDir);
  const address =
    kept?.address ?? joined.address ?? chosenAddress(undefined, splitAddress(ca).port);
  const written =
    kept === undefined ? writeConfiguration(config, { name, address, stateDir, storage }) : [];
  const findings = [
    clockFinding(joined),
    nameFinding(name),
    ...(kept === undefined ? await addressFinding(config, address) : []),
  ];
  const done = { name, address, config, stateDir, isFirst: false, findings };
  await printDone({ ...done, created: [pkiDir, ...written] }, context, input.json);
};

/** An existing configuration must have the same name; otherwise the token is for another host. */
function keptConfiguration(file: string, name: string): ReturnType<typeof loadAgentConfig> {
  const config = loadAgentConfig(file);
  if (config.name === name) return config;
  const what = `\`name\` is ${config.name}, and the token is for ${name}`;
  const hint = `Run it on ${name}, or ask for a token: \`godwit invite ${config.name}\` where the CA is.`;
  throw godwitError('GODWIT_CONFIG', { file, what }, { hint });
}

function clockFinding({ clockAheadMs }: JoinResult): Finding {
  const name = 'clocks';
  const seconds = Math.round(Math.abs(clockAheadMs) / 1000);
  if (Math.abs(clockAheadMs) <= CLOCK_MS)
    return { name, verdict: 'ok', found: 'the same as on the host with the CA' };
  const found = `${seconds} s ${clockAheadMs > 0 ? 'behind' : 'before'} that of the host with the CA`;
  const hint = 'Set both by NTP (chrony, systemd-timesyncd).';
  return { name, verdict: 'warn', found, hint };
}

function nameFinding(name: string): Finding {
  const here = hereCalled();
  if (here === undefined || here === name)
    return { name: 'name', verdict: 'ok', found: `the fleet calls this host ${name}` };
  const hint = 'Nothing needs both to be the same; people find it easier.';
  const found = `the fleet calls this host ${name}, and the machine is called ${here}`;
  return { name: 'name', verdict: 'warn', found, hint };
}

async function addressFinding(file: string, address: string): Promise<Finding[]> {
  const name = 'address';
  try {
    await checkAddress(file, address);
    return [{ name, verdict: 'ok', found: `${address} is this host's, and its port is free` }];
  } catch (thrown) {
    const { message, hint } = toGodwitError(thrown);
    const again = 'If the address is wrong, create a new invitation with the right --addresses.';
    return [{ name, verdict: 'fail', found: message, hint: `${hint} ${again}` }];
  }
}
