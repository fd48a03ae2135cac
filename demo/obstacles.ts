import { collectFacts } from '../src/cli/doctor/collect.ts';
import type { Facts, Finding } from '../src/cli/doctor/facts.ts';
import { judge } from '../src/cli/doctor/judge.ts';
import type { Context } from '../src/cli/context.ts';
import type { Mode } from '../src/protocol/public/migration.ts';

/** What doctor says of this machine, as far as the demo needs it. */
export interface Ground {
  /** Findings without which no lab can be built. */
  readonly obstacles: readonly Finding[];
  /** Why a mode cannot be tried here. */
  readonly reasons: Partial<Record<Mode, string>>;
}

/** Lines of doctor that a lab depends on; the others are about a host's own agent. */
const NEEDED = new Set(['node', 'privilege', 'qemu', 'tun', 'tools', 'lab']);
/** A container needs no QEMU and no tap. */
const OF_MACHINES = new Set(['qemu', 'tun']);

/** Looks at this machine in doctor's way; changes nothing. */
export async function surveyGround(context: Context, containers = false): Promise<Ground> {
  const { obstacles, reasons } = judgeGround(await collectFacts(context, {}, undefined));
  if (!containers) return { obstacles, reasons };
  return { obstacles: obstacles.filter(({ name }) => !OF_MACHINES.has(name)), reasons: {} };
}

/** Which of doctor's findings keep the demo from starting, and which modes cannot be tried. */
export function judgeGround(facts: Facts): Ground {
  const findings = judge(facts);
  // What doctor only warns of is in the way of a lab when it is the lab's own line, or a missing tool.
  const stops = ({ name, verdict }: Finding): boolean =>
    verdict === 'fail' || (verdict === 'warn' && (name === 'lab' || name === 'tools'));
  const postcopy = findings.find(({ name }) => name === 'post-copy');
  const reason = postcopy === undefined || postcopy.verdict === 'ok' ? undefined : postcopy.found;
  return {
    obstacles: findings.filter((finding) => NEEDED.has(finding.name) && stops(finding)),
    reasons: reason === undefined ? {} : { postcopy: reason, hybrid: reason },
  };
}
