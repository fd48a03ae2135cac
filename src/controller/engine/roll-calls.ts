import { toGodwitError } from '../../errors.ts';
import { runSiteProgram } from '../../hooks/site-program.ts';
import { agentContract } from '../../protocol/contract.ts';
import { rollPromise } from '../../protocol/controller/fleet-request.ts';
import { defined } from '../../protocol/defined.ts';
import { client } from '../../rpc/client.ts';
import type { Credentials } from '../../rpc/tls.ts';
import type { ControllerConfig } from '../config.ts';
import type { StageAnswer } from '../requests/roll-health.ts';
import type { HostAgent } from './fleet-view.ts';
import type { ProgramCall, RollCalls } from './ports.ts';

const ANSWER_MS = 5000;
/** Hosts sample every 10 s. */
const SAMPLE_MS = 25_000;

export interface RollCallsDependencies {
  readonly programs: ControllerConfig['programs'];
  readonly credentials: Credentials;
  readonly agentOf: (host: string) => HostAgent | undefined;
}

export function rollCalls(deps: RollCallsDependencies): RollCalls {
  return {
    host: (name, signal) => askHost(deps, name, signal),
    program: (call, signal) => runProgram(deps, call, signal),
  };
}

/** A new connection, since an old one may belong to the previous boot. */
async function askHost(
  { credentials, agentOf }: RollCallsDependencies,
  name: string,
  signal: AbortSignal,
): Promise<StageAnswer> {
  const { address, manager } = agentOf(name) ?? {};
  if (address === undefined) return { of: 'host', ok: false, words: 'its address is not known' };
  if (manager !== undefined) {
    const words = `its manager ${manager} speaks for it: nobody knows whether it has started again`;
    return { of: 'host', ok: false, words };
  }
  const speaking = client(agentContract, { address, credentials, expectedName: name });
  try {
    const { version, bootId } = await speaking.api.host({}, { signal, deadlineMs: ANSWER_MS });
    const within = AbortSignal.any([signal, AbortSignal.timeout(SAMPLE_MS)]);
    const query = { load: 'true' } as const;
    const events = speaking.api.hostEvents({ query }, { signal: within, deadlineMs: ANSWER_MS });
    const sampled = await hasSample(events);
    return { of: 'host', ok: true, version, sampled, ...defined({ bootId }) };
  } catch (thrown) {
    return { of: 'host', ok: false, words: toGodwitError(thrown).message };
  } finally {
    speaking.close();
  }
}

async function hasSample(events: AsyncIterable<{ readonly type: string }>): Promise<boolean> {
  try {
    for await (const { type } of events) if (type === 'load') return true;
  } catch {
    // No sample came in time.
  }
  return false;
}

async function runProgram(
  { programs, agentOf }: RollCallsDependencies,
  { program, host, id, epoch, before }: ProgramCall,
  signal: AbortSignal,
): Promise<StageAnswer> {
  const known = Object.hasOwn(programs, program) ? programs[program] : undefined;
  if (known === undefined) {
    const words = 'is no program of the configuration of this controller';
    return { of: 'program', ok: false, words };
  }
  const { file, timeoutMs: deadlineMs } = known;
  const reported = {
    version: 1,
    program,
    host,
    address: agentOf(host)?.address,
    id,
    epoch,
    before,
  };
  const input = `${JSON.stringify(reported)}\n`;
  const answer = await runSiteProgram({ file, input, deadlineMs, signal });
  if (!answer.ok) return { of: 'program', ok: false, words: answer.why };
  return promiseOf(answer.words);
}

/** Parses the program's last line: a JSON object with the facts that will differ when the host is back. */
function promiseOf(line: string): StageAnswer {
  if (!line.startsWith('{')) return { of: 'program', ok: true, promised: {} };
  try {
    return { of: 'program', ok: true, promised: rollPromise.parse(JSON.parse(line)) };
  } catch {
    const words = `ended well, and its last line is no promise: ${line}`;
    return { of: 'program', ok: false, words };
  }
}
