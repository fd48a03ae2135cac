import { systemClock } from '../../clock.ts';
import { loadAgentConfig, type AgentConfig } from '../../config.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import {
  answerQuestion,
  question,
  type CheckDependencies,
  type CheckerLine,
  type CheckerQuestion,
  type ExaminedHost,
} from '../../mover/public.ts';

/** Time from the start of this process until its drivers were loaded for the first question, ms; undefined before. */
let startedMs: number | undefined;

/** Never rejects. */
export async function runChecker(
  configFile: string,
  text: string,
  signal: AbortSignal,
  say: (line: CheckerLine) => void,
): Promise<void> {
  try {
    const asked = question.parse(JSON.parse(text));
    const parts = await partsFor(asked, loadAgentConfig(configFile));
    startedMs ??= Math.round(process.uptime() * 1000);
    const onHost = (host: ExaminedHost): void => say({ host: { ...host, startedMs } });
    say({ answer: await answerQuestion(parts, asked, onHost, signal) });
  } catch (thrown) {
    say({ error: toGodwitError(thrown).toJSON() });
  }
}

/** Loads only what the question needs, because the caller waits. */
async function partsFor(
  { what }: CheckerQuestion,
  config: AgentConfig,
): Promise<CheckDependencies> {
  const alone = (): never => {
    throw godwitError('GODWIT_INTERNAL', { what: `a question of ${what} that asks other hosts` });
  };
  const parts = {
    config,
    clock: systemClock,
    drivers: [],
    peers: { preflight: alone, address: alone, furtherAddresses: alone, linkProbe: alone },
  };
  if (what === 'storage' || what === 'known') return parts;
  const { allDrivers } = await import('../../drivers/registry.ts');
  const drivers = await allDrivers(config);
  if (what === 'assess') return { ...parts, drivers };
  const { Fleet } = await import('../../host/fleet.ts');
  const { hostCredentials } = await import('../../host/credentials.ts');
  const { Peers } = await import('../peers.ts');
  const fleet = new Fleet(config);
  return { ...parts, drivers, peers: new Peers(fleet, hostCredentials(config, fleet)) };
}
