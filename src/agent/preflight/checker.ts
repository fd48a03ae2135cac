import { systemClock } from '../../clock.ts';
import { loadAgentConfig } from '../../config.ts';
import { allDrivers } from '../../drivers/registry.ts';
import { toGodwitError } from '../../errors.ts';
import { hostCredentials } from '../../host/credentials.ts';
import { Fleet } from '../../host/fleet.ts';
import { Peers } from '../peers.ts';
import { question } from './questions.ts';
import type { ApartLine } from './questions.ts';
import { workOn } from './work.ts';

/** Answers one question by this host's configuration file; never rejects. */
export async function runChecker(
  configFile: string,
  text: string,
  signal: AbortSignal,
  say: (line: ApartLine) => void,
): Promise<void> {
  try {
    const config = loadAgentConfig(configFile);
    const fleet = new Fleet(config);
    const parts = {
      config,
      clock: systemClock,
      drivers: allDrivers(config),
      peers: new Peers(fleet, hostCredentials(config, fleet)),
    };
    const tell = (host: Extract<ApartLine, { host: unknown }>['host']): void => say({ host });
    const answer = await workOn(parts, question.parse(JSON.parse(text)), tell, signal);
    parts.peers.close();
    say({ answer });
  } catch (thrown) {
    say({ error: toGodwitError(thrown).toJSON() });
  }
}
