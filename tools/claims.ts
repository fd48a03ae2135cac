/**
 * Explores what two controllers can do to one drain, and to one roll: `node tools/claims.ts [--states N]`.
 *
 * Every call may be answered, lost before or after it took effect, late or doubled; a controller may die, or stall
 * until its lease is over and then go on; a person may cancel. The nearest N (12,000) states of each scene are visited,
 * and walks by chance go on from there.
 * Then the rules that engine, store and agents rest on are left out, one at a time, and each break must be found.
 * Exit 1 when a rule is broken or a mutant is missed.
 */
import { parseArgs } from 'node:util';
import { explore, walk } from '../test/controller/engine/explore.ts';
import { MUTANTS, SCENES } from '../test/controller/engine/scenes.ts';

const { values } = parseArgs({ options: { states: { type: 'string', default: '12000' } } });
const mostStates = Number(values.states);
const WALKS = { walks: 2000, seed: 1 };

let failed = false;
for (const { name, bounds } of SCENES) {
  const startedMs = performance.now();
  const found = await explore(bounds, { mostStates });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const { states, choices, fairRuns, isExhaustive, broken } = found;
  const verdict = broken === undefined ? 'no rule broken' : `BROKEN: ${broken.rule}`;
  const whole = isExhaustive ? 'all states' : 'the nearest states';
  console.log(
    `${name}: ${states} states (${whole}), ${choices} moves, ${fairRuns} fair runs, ${seconds} s: ${verdict}`,
  );
  for (const line of broken?.trace ?? []) console.log(`  ${line.slice(0, 160)}`);
  failed ||= broken !== undefined;
}
for (const { name, bounds } of SCENES) {
  const { walks, moves, broken } = await walk({ ...bounds, guests: 2, faults: 4 }, WALKS);
  console.log(
    `${name}, by chance: ${walks} walks, ${moves} moves: ${broken?.rule ?? 'no rule broken'}`,
  );
  failed ||= broken !== undefined;
}
for (const { flaw, bounds } of MUTANTS) {
  const { broken, walks } = await walk(bounds, { ...WALKS, flaws: [flaw] });
  const verdict = broken === undefined ? 'MISSED' : `found by walk ${walks}: ${broken.rule}`;
  console.log(`mutant ${flaw}: ${verdict}`);
  failed ||= broken === undefined;
}
process.exitCode = failed ? 1 : 0;
